//! What an operator, a number or a method is replaced with.

use proc_macro2::TokenStream;
use syn::{BinOp, Expr, Lit};

/// Other operators that could stand in an operator's place.
pub(crate) fn replacements(op: &BinOp) -> &'static [&'static str] {
    match op {
        BinOp::Eq(_) => &["!="],
        BinOp::Ne(_) => &["=="],
        BinOp::Lt(_) => &["<=", ">"],
        BinOp::Gt(_) => &[">=", "<"],
        BinOp::Le(_) => &["<", ">"],
        BinOp::Ge(_) => &[">", "<"],
        BinOp::And(_) => &["||"],
        BinOp::Or(_) => &["&&"],
        BinOp::Add(_) => &["-"],
        BinOp::Sub(_) => &["+"],
        BinOp::Mul(_) => &["+"],
        BinOp::Div(_) => &["*"],
        BinOp::Rem(_) => &["/"],
        BinOp::BitAnd(_) => &["|"],
        BinOp::BitOr(_) => &["&"],
        BinOp::BitXor(_) => &["|"],
        BinOp::Shl(_) => &[">>"],
        BinOp::Shr(_) => &["<<"],
        BinOp::AddAssign(_) => &["-="],
        BinOp::SubAssign(_) => &["+="],
        BinOp::MulAssign(_) => &["+="],
        BinOp::DivAssign(_) => &["*="],
        BinOp::BitAndAssign(_) => &["|="],
        BinOp::BitOrAssign(_) => &["&="],
        BinOp::BitXorAssign(_) => &["|="],
        _ => &[],
    }
}

/// By how much a number on the right of a comparison is moved; not where another operator says the same.
pub(crate) fn neighbours(op: &BinOp) -> &'static [i8] {
    match op {
        BinOp::Eq(_) | BinOp::Ne(_) => &[1, -1],
        BinOp::Lt(_) | BinOp::Ge(_) => &[-1],
        BinOp::Gt(_) | BinOp::Le(_) => &[1],
        _ => &[],
    }
}

/// A literal whole number, and its neighbour; none below zero.
pub(crate) fn shifted(number: &Expr, step: i8) -> Option<(String, TokenStream)> {
    let Expr::Lit(literal) = number else { return None };
    let Lit::Int(literal) = &literal.lit else { return None };
    let is = literal.base10_parse::<u128>().ok()?.checked_add_signed(i128::from(step))?;
    let is: TokenStream = format!("{is}{}", literal.suffix()).parse().ok()?;
    Some((literal.to_string(), is))
}

/// A method that takes the same and means something else.
pub(crate) fn sibling(name: &str, arguments: usize) -> Option<&'static str> {
    Some(match (name, arguments) {
        ("all", 1) => "any",
        ("any", 1) => "all",
        ("is_some", 0) => "is_none",
        ("is_none", 0) => "is_some",
        ("is_ok", 0) => "is_err",
        ("is_err", 0) => "is_ok",
        ("min", 1) => "max",
        ("max", 1) => "min",
        ("saturating_add", 1) => "saturating_sub",
        ("saturating_sub", 1) => "saturating_add",
        ("checked_add", 1) => "checked_sub",
        ("checked_sub", 1) => "checked_add",
        _ => return None,
    })
}
