//! What a function could give back instead of what it works out, by the type it declares.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::{GenericArgument, PathArguments, PathSegment, ReturnType, Type};

/// How many values of one type are tried.
const MOST: usize = 3;

/// Takes a function's declared return type, and gives the values to return at once instead; an empty stream is the
/// unit value. None where nothing plausible is known (`impl Trait`, `!`).
pub(crate) fn of_return(output: &ReturnType) -> Vec<TokenStream> {
    match output {
        ReturnType::Default => vec![TokenStream::new()],
        ReturnType::Type(_, ty) => of(ty),
    }
}

/// Plausible values of a type.
fn of(ty: &Type) -> Vec<TokenStream> {
    match ty {
        Type::Group(group) => of(&group.elem),
        Type::Paren(paren) => of(&paren.elem),
        Type::Tuple(tuple) => {
            let each: Vec<Vec<TokenStream>> = tuple.elems.iter().map(of).collect();
            if each.iter().any(Vec::is_empty) {
                return Vec::new();
            }
            let most = each.iter().map(Vec::len).max().unwrap_or(1);
            let nth = |n: usize| {
                let parts = each.iter().filter_map(|values| values.get(n).or(values.last()));
                quote!((#(#parts,)*))
            };
            match tuple.elems.is_empty() {
                true => vec![quote!(())],
                false => (0..most.min(MOST)).map(nth).collect(),
            }
        }
        Type::Reference(reference) => of_reference(&reference.elem, reference.mutability.is_some()),
        Type::Path(path) => match path.path.segments.last() {
            Some(last) if path.qself.is_none() => of_named(last),
            _ => vec![default()],
        },
        Type::Array(_) => vec![default()],
        _ => Vec::new(),
    }
}

fn of_reference(target: &Type, mutable: bool) -> Vec<TokenStream> {
    match target {
        Type::Path(path) if path.path.is_ident("str") && !mutable => vec![quote!(""), quote!("xyzzy")],
        Type::Slice(_) => vec![if mutable { quote!(&mut []) } else { quote!(&[]) }],
        Type::TraitObject(_) => Vec::new(),
        _ => of(target)
            .into_iter()
            .map(|value| match mutable {
                true => quote!(Box::leak(Box::new(#value))),
                false => quote!(&*Box::leak(Box::new(#value))),
            })
            .collect(),
    }
}

/// Values of a type by the last name of its path.
fn of_named(last: &PathSegment) -> Vec<TokenStream> {
    let arguments: Vec<&Type> = match &last.arguments {
        PathArguments::AngleBracketed(arguments) => {
            let types = arguments.args.iter().filter_map(|argument| match argument {
                GenericArgument::Type(ty) => Some(ty),
                _ => None,
            });
            types.collect()
        }
        _ => Vec::new(),
    };
    let first = arguments.first().map(|ty| of(ty)).unwrap_or_default();
    let wrapped =
        |wrap: fn(&TokenStream) -> TokenStream| first.iter().map(wrap).take(MOST).collect::<Vec<_>>();
    match last.ident.to_string().as_str() {
        "bool" => vec![quote!(true), quote!(false)],
        "u8" | "u16" | "u32" | "u64" | "u128" | "usize" => vec![quote!(0), quote!(1)],
        "i8" | "i16" | "i32" | "i64" | "i128" | "isize" => vec![quote!(0), quote!(1), quote!(-1)],
        "f32" | "f64" => vec![quote!(0.0), quote!(1.0)],
        "char" => vec![quote!('x')],
        "String" => vec![quote!(String::new()), quote!("xyzzy".to_owned())],
        "Result" if arguments.is_empty() => vec![quote!(Ok(Default::default()))],
        "Result" => wrapped(|value| quote!(Ok(#value))),
        "Option" => [vec![quote!(None)], wrapped(|value| quote!(Some(#value)))].concat(),
        "Vec" => {
            let one = first.iter().take(1).map(|value| quote!(vec![#value]));
            [quote!(Vec::new())].into_iter().chain(one).collect()
        }
        "Box" => wrapped(|value| quote!(Box::new(#value))),
        "Arc" => wrapped(|value| quote!(std::sync::Arc::new(#value))),
        "Cow" => vec![quote!(std::borrow::Cow::Owned(Default::default()))],
        _ => vec![default()],
    }
}

fn default() -> TokenStream {
    quote!(Default::default())
}

/// How a return type reads: without the spaces that tokens are printed with.
pub(crate) fn spelled(tokens: &impl ToTokens) -> String {
    let mut text = tokens.to_token_stream().to_string();
    for (from, to) in [
        (" :: ", "::"),
        (":: ", "::"),
        (" < ", "<"),
        ("< ", "<"),
        (" >", ">"),
        ("& ", "&"),
        (" ,", ","),
        (" (", "("),
        ("( ", "("),
        (" )", ")"),
        (" . ", "."),
        (" [", "["),
        ("[ ", "["),
        (" ]", "]"),
        ("! ", "!"),
        (" ?", "?"),
        (" ;", ";"),
    ] {
        text = text.replace(from, to);
    }
    text
}
