//! The `#[module(...)]` attributes of fields and types.

use syn::{Attribute, LitStr, Path, Result};

/// What the attributes of a field say.
#[derive(Default)]
pub(crate) struct FieldAttributes {
    pub(crate) skip: bool,
    pub(crate) flatten: bool,
    pub(crate) rename: Option<String>,
}

impl FieldAttributes {
    pub(crate) fn parse(attributes: &[Attribute]) -> Result<Self> {
        let mut parsed = FieldAttributes::default();
        for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("module")) {
            attribute.parse_nested_meta(|meta| {
                if meta.path.is_ident("skip") {
                    parsed.skip = true;
                } else if meta.path.is_ident("flatten") {
                    parsed.flatten = true;
                } else if meta.path.is_ident("rename") {
                    let name = meta.value()?.parse::<LitStr>()?;
                    if name.value().is_empty() {
                        return Err(syn::Error::new(
                            name.span(),
                            "module: the name is empty; use `flatten` for a field without a name",
                        ));
                    }
                    parsed.rename = Some(name.value());
                } else {
                    return Err(meta.error("module: expected `skip`, `flatten` or `rename`"));
                }
                let chosen = [parsed.skip, parsed.flatten, parsed.rename.is_some()];
                if chosen.into_iter().filter(|&chosen| chosen).count() > 1 {
                    return Err(meta.error("module: only one of `skip`, `flatten` and `rename`"));
                }
                Ok(())
            })?;
        }
        Ok(parsed)
    }
}

/// The `crate` attribute of a type.
pub(crate) fn crate_attribute(attributes: &[Attribute]) -> Result<Option<Path>> {
    let mut path = None;
    for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("module")) {
        attribute.parse_nested_meta(|meta| {
            if !meta.path.is_ident("crate") {
                return Err(meta.error("module: on a type, expected `crate = \"...\"`"));
            }
            path = Some(meta.value()?.parse::<LitStr>()?.parse::<Path>()?);
            Ok(())
        })?;
    }
    Ok(path)
}
