//! The code that `#[derive(Module)]` writes: three visits that go through the fields, and `Tensors`.

use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote};
use syn::{Data, DeriveInput, Error, Fields, Ident, Index, Member, Path, Result, parse_quote};

use crate::attributes::{FieldAttributes, crate_attribute};

/// How one field is reached and called.
struct Visited {
    /// The field's own name, to bind it in a pattern.
    member: Member,
    binding: Ident,
    /// Its part of the names; none if it adds none.
    name: Option<String>,
}

pub(crate) fn derive(input: &DeriveInput) -> Result<TokenStream> {
    let nn = match crate_attribute(&input.attrs)? {
        Some(path) => path,
        None => crate::crate_path::find(),
    };
    let name = &input.ident;
    let mut arms = Vec::new();
    match &input.data {
        Data::Struct(data) => arms.push((quote!(Self), visited(&data.fields, false)?)),
        Data::Enum(data) => {
            for variant in &data.variants {
                if let Some(attribute) =
                    variant.attrs.iter().find(|attribute| attribute.path().is_ident("module"))
                {
                    let message = "module: attributes belong on the variant's fields";
                    return Err(Error::new_spanned(attribute, message));
                }
                let ident = &variant.ident;
                arms.push((quote!(Self::#ident), visited(&variant.fields, true)?));
            }
        }
        Data::Union(_) => return Err(Error::new_spanned(name, "module: unions are not supported")),
    }
    let shared = arms.iter().map(|(path, fields)| arm(&nn, path, fields, "visit"));
    let exclusive = arms.iter().map(|(path, fields)| arm(&nn, path, fields, "visit_mut"));
    let adapters = arms.iter().map(|(path, fields)| arm(&nn, path, fields, "visit_adapters"));
    let (shared, exclusive, adapters) = if arms.is_empty() {
        (quote!(match *self {}), quote!(match *self {}), quote!(match *self {}))
    } else {
        (
            quote!(match self { #(#shared)* }),
            quote!(match self { #(#exclusive)* }),
            quote!(match self { #(#adapters)* }),
        )
    };

    let mut generics = input.generics.clone();
    let parameters: Vec<Ident> = generics.type_params().map(|param| param.ident.clone()).collect();
    let clause = generics.make_where_clause();
    for parameter in parameters {
        clause.predicates.push(parse_quote!(#parameter: #nn::Module));
    }
    let (impl_generics, type_generics, clause) = generics.split_for_impl();
    Ok(quote! {
        #[automatically_derived]
        impl #impl_generics #nn::Module for #name #type_generics #clause {
            #[allow(unused_variables)]
            fn visit<'module>(
                &'module self,
                path: &mut #nn::Path,
                visitor: &mut dyn ::core::ops::FnMut(&str, &'module #nn::Parameter),
            ) {
                #shared
            }

            #[allow(unused_variables)]
            fn visit_mut(
                &mut self,
                path: &mut #nn::Path,
                visitor: &mut dyn ::core::ops::FnMut(&str, &mut #nn::Parameter),
            ) {
                #exclusive
            }

            #[allow(unused_variables)]
            fn visit_adapters(
                &mut self,
                path: &mut #nn::Path,
                visitor: &mut dyn ::core::ops::FnMut(&str, &mut #nn::layers::Adapter),
            ) {
                #adapters
            }
        }

        #[automatically_derived]
        impl #impl_generics #nn::derive_support::Tensors for #name #type_generics #clause {
            fn for_each_tensor(
                &mut self,
                visit: &mut dyn ::core::ops::FnMut(&mut #nn::derive_support::Tensor),
            ) {
                #nn::derive_support::for_each_tensor(self, visit);
            }
        }
    })
}

/// The fields that are visited, in their order.
fn visited(fields: &Fields, of_variant: bool) -> Result<Vec<Visited>> {
    let alone = of_variant && fields.len() == 1;
    let mut visited = Vec::new();
    for (position, field) in fields.iter().enumerate() {
        let attributes = FieldAttributes::parse(&field.attrs)?;
        if attributes.skip {
            continue;
        }
        let (member, own_name) = match &field.ident {
            Some(ident) => {
                let text = ident.to_string();
                let text = text.strip_prefix("r#").unwrap_or(&text).to_owned();
                (Member::Named(ident.clone()), (!attributes.flatten).then_some(text))
            }
            None => {
                let index = Index { index: position as u32, span: Span::call_site() };
                let name = (!attributes.flatten && !alone).then(|| position.to_string());
                (Member::Unnamed(index), name)
            }
        };
        let binding = format_ident!("field_{position}", span = Span::mixed_site());
        visited.push(Visited { member, binding, name: attributes.rename.or(own_name) });
    }
    Ok(visited)
}

fn arm(nn: &Path, path: &TokenStream, fields: &[Visited], method: &str) -> TokenStream {
    let method = Ident::new(method, Span::call_site());
    let members = fields.iter().map(|field| &field.member);
    let bindings = fields.iter().map(|field| &field.binding);
    let calls = fields.iter().map(|Visited { binding, name, .. }| match name {
        Some(name) => quote! {
            path.within(#name, |path| #nn::Module::#method(#binding, path, &mut *visitor));
        },
        None => quote!(#nn::Module::#method(#binding, path, &mut *visitor);),
    });
    quote!(#path { #(#members: #bindings,)* .. } => { #(#calls)* })
}

#[cfg(test)]
mod tests {
    use syn::{DeriveInput, parse_quote};

    fn error(input: &DeriveInput) -> String {
        super::derive(input).err().map(|error| error.to_string()).unwrap_or_default()
    }

    #[test]
    fn attributes_that_mean_nothing_are_named() {
        assert_eq!(
            error(&parse_quote!(
                struct A {
                    #[module(skipp)]
                    a: u8,
                }
            )),
            "module: expected `skip`, `flatten` or `rename`"
        );
        assert_eq!(
            error(&parse_quote!(
                struct A {
                    #[module(skip, rename = "b")]
                    a: u8,
                }
            )),
            "module: only one of `skip`, `flatten` and `rename`"
        );
        assert!(
            error(&parse_quote!(
                struct A(#[module(rename = "")] u8);
            ))
            .contains("empty")
        );
        assert!(
            error(&parse_quote!(
                #[module(skip)]
                struct A;
            ))
            .contains("on a type")
        );
        assert!(
            error(&parse_quote!(
                enum A {
                    #[module(skip)]
                    B,
                }
            ))
            .contains("fields")
        );
        assert!(error(&parse_quote!(union A { a: u8 })).contains("unions"));
    }

    #[test]
    fn generated_code_uses_the_path_it_was_given() {
        let input = parse_quote!(
            #[module(crate = "facade::nn")]
            struct A<T>(T);
        );
        let code = super::derive(&input).map(|tokens| tokens.to_string()).unwrap_or_default();
        assert!(code.contains("facade :: nn :: Module for A < T >"), "{code}");
        assert!(code.contains("T : facade :: nn :: Module"), "{code}");
    }
}
