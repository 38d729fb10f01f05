//! Reads the switches back out of an instrumented file, for errors that point into it.

use syn::spanned::Spanned;
use syn::visit::Visit;
use syn::{Expr, Lit};

/// Where the switches stand in a written file: for each call of `on`, its number, its own bytes, and the bytes of the
/// changed form behind it.
pub(crate) struct Switches(pub(crate) Vec<Switch>);

/// One switch in a written file; places are byte ranges.
pub(crate) struct Switch {
    pub(crate) id: u32,
    pub(crate) at: std::ops::Range<usize>,
    /// The branch that is taken when it is on.
    pub(crate) changed: Option<std::ops::Range<usize>>,
    /// The whole of both.
    pub(crate) whole: Option<std::ops::Range<usize>>,
}

impl Switches {
    /// Takes the text of an instrumented file.
    pub(crate) fn read(text: &str) -> syn::Result<Self> {
        let mut switches = Switches(Vec::new());
        switches.visit_file(&syn::parse_file(text)?);
        Ok(switches)
    }
}

/// The number of a switch, if this is a call of `on`.
fn switch_of(expression: &Expr) -> Option<u32> {
    let Expr::Call(call) = expression else { return None };
    let Expr::Path(path) = &*call.func else { return None };
    let mut names = path.path.segments.iter().rev().map(|segment| segment.ident.to_string());
    if names.next()? != "on" || names.next()? != "__mutants" {
        return None;
    }
    let Some(Expr::Lit(literal)) = call.args.first() else { return None };
    let Lit::Int(number) = &literal.lit else { return None };
    number.base10_parse().ok()
}

impl Visit<'_> for Switches {
    fn visit_expr_if(&mut self, branch: &syn::ExprIf) {
        if let Some(id) = switch_of(&branch.cond) {
            self.0.push(Switch {
                id,
                at: branch.cond.span().byte_range(),
                changed: Some(branch.then_branch.span().byte_range()),
                whole: Some(branch.span().byte_range()),
            });
            self.visit_block(&branch.then_branch);
            if let Some((_, other)) = &branch.else_branch {
                self.visit_expr(other);
            }
        } else {
            syn::visit::visit_expr_if(self, branch);
        }
    }

    fn visit_expr_call(&mut self, call: &syn::ExprCall) {
        let at = call.span().byte_range();
        match switch_of(&Expr::Call(call.clone())) {
            Some(id) => self.0.push(Switch { id, at, changed: None, whole: None }),
            None => syn::visit::visit_expr_call(self, call),
        }
    }
}
