//! The derive macro of Gradloom's `Module` trait.
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod attributes;
mod crate_path;
mod module;

/// Implements `gradloom_nn::Module` and `gradloom_tensor::Tensors` by visiting every field.
///
/// A field's name is a part of the names of the weights in it, joined by dots:
/// `encoder.layer.0.weight`. Every field must be a module; numbers, `bool`, `String` and ranges count
/// as modules without weights. Fields of a tuple struct are named by their number.
///
/// An enum has the weights of its current variant. A variant with one unnamed field adds no name of its
/// own, so a choice between two layers does not show in the names.
///
/// - `#[module(skip)]`: the field has no weights and need not be a module.
/// - `#[module(rename = "...")]`: another name, such as a Rust keyword.
/// - `#[module(flatten)]`: the field adds no name of its own.
/// - `#[module(crate = "...")]` on the type: where `gradloom_nn` is found, if neither it nor `gradloom`
///   is a dependency under its own name.
#[proc_macro_derive(Module, attributes(module))]
pub fn derive_module(input: proc_macro::TokenStream) -> proc_macro::TokenStream {
    let input = syn::parse_macro_input!(input as syn::DeriveInput);
    module::derive(&input).unwrap_or_else(|error| error.to_compile_error()).into()
}
