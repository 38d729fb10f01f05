//! Writes every mutant of a file into it, each behind a switch.
//!
//! A mutant is `if crate::__mutants::on(7) { changed } else { original }`: both are compiled, one is run. What is inside
//! the original carries switches of its own; the changed copy carries none, so that one run has one change.

use std::collections::HashSet;

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, format_ident, quote};
use syn::spanned::Spanned;
use syn::visit_mut::{self, VisitMut};
use syn::{
    Arm, Attribute, BinOp, Block, Expr, ExprBinary, ExprMethodCall, ExprUnary, Meta, Pat, Signature, Stmt,
    UnOp,
};

use crate::operators::{neighbours, replacements, shifted, sibling};
use crate::values;

/// One change that could be made to one place.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Mutant {
    /// Its number in this build.
    pub(crate) id: u32,
    /// The file, from the root of the workspace.
    pub(crate) file: String,
    /// From 1.
    pub(crate) line: usize,
    /// From 1.
    pub(crate) column: usize,
    /// What it does, and where: `replace == with != in judge`.
    pub(crate) what: String,
}

impl Mutant {
    /// How it is named in results, the same in every build of the same sources.
    pub(crate) fn key(&self) -> String {
        format!("{}:{}:{}: {}", self.file, self.line, self.column, self.what)
    }
}

/// Instruments one file after another, counting its mutants through.
pub(crate) struct Instrumenter<'a> {
    /// Keys of mutants that do not compile; they get a number and no switch.
    unviable: &'a HashSet<String>,
    pub(crate) mutants: Vec<Mutant>,
    file: String,
    within: Vec<String>,
}

impl<'a> Instrumenter<'a> {
    /// Takes the keys of the mutants to leave out.
    pub(crate) fn new(unviable: &'a HashSet<String>) -> Self {
        Instrumenter { unviable, mutants: Vec::new(), file: String::new(), within: Vec::new() }
    }

    /// Puts the switches into one parsed file, named as it shall be in the results.
    pub(crate) fn file(&mut self, name: &str, file: &mut syn::File) {
        name.clone_into(&mut self.file);
        self.visit_file_mut(file);
    }

    /// Counts a mutant; gives the condition that switches it on, or none where it does not compile.
    fn switch(&mut self, at: Span, what: &str) -> Option<TokenStream> {
        let id = u32::try_from(self.mutants.len()).unwrap_or(u32::MAX);
        let place = match self.within.is_empty() {
            true => String::new(),
            false => format!(" in {}", self.within.join("::")),
        };
        let start = at.start();
        let (file, what) = (self.file.clone(), format!("{what}{place}"));
        let mutant = Mutant { id, file, line: start.line, column: start.column + 1, what };
        let viable = !self.unviable.contains(&mutant.key());
        self.mutants.push(mutant);
        viable.then(|| quote!(crate::__mutants::on(#id)))
    }

    /// Switches between an expression and changed forms of it.
    fn wrap(&mut self, at: Span, changed: Vec<(String, TokenStream)>, original: &Expr) -> Option<Expr> {
        let arms: Vec<TokenStream> = changed
            .into_iter()
            .filter_map(|(what, tokens)| self.switch(at, &what).map(|on| quote!(if #on { #tokens } else)))
            .collect();
        (!arms.is_empty()).then(|| Expr::Verbatim(quote!((#(#arms)* { #original }))))
    }

    fn binary(&mut self, expression: &mut Expr, before: &ExprBinary) {
        if holds_let(&before.left) || holds_let(&before.right) {
            return;
        }
        let (left, op, right) = (&before.left, &before.op, &before.right);
        let sign = values::spelled(op);
        let mut changed: Vec<(String, TokenStream)> = replacements(op)
            .iter()
            .filter_map(|other| {
                let tokens: TokenStream = other.parse().ok()?;
                Some((format!("replace {sign} with {other}"), quote!((#left) #tokens (#right))))
            })
            .collect();
        for step in neighbours(op) {
            for (number, on_left) in [(right, false), (left, true)] {
                // On the left the number moves the other way.
                let step = if on_left { -step } else { *step };
                let Some((was, is)) = shifted(number, step) else { continue };
                let tokens = match on_left {
                    true => quote!(#is #op (#right)),
                    false => quote!((#left) #op #is),
                };
                changed.push((format!("replace {was} with {is} in a comparison by {sign}"), tokens));
            }
        }
        if let Some(wrapped) = self.wrap(op.span(), changed, expression) {
            *expression = wrapped;
        }
    }

    fn unary(&mut self, expression: &mut Expr, before: &ExprUnary) {
        let sign = match before.op {
            UnOp::Not(_) => "!",
            UnOp::Neg(_) => "-",
            _ => return,
        };
        let operand = &before.expr;
        let changed = vec![(format!("delete {sign}"), operand.to_token_stream())];
        if let Some(wrapped) = self.wrap(before.op.span(), changed, expression) {
            *expression = wrapped;
        }
    }

    fn method(&mut self, expression: &mut Expr, before: &ExprMethodCall) {
        let name = before.method.to_string();
        let mut changed = Vec::new();
        if let Some(other) = sibling(&name, before.args.len()) {
            let mut call = before.clone();
            call.method = format_ident!("{other}");
            changed.push((format!("replace .{name}() with .{other}()"), call.to_token_stream()));
        }
        if name == "is_empty" {
            changed.push(("negate .is_empty()".to_owned(), quote!(!(#before))));
        }
        if let Expr::MethodCall(call) = expression
            && matches!(name.as_str(), "filter" | "retain" | "is_some_and")
            && let Some(Expr::Closure(closure)) = call.args.last_mut()
            && let Some(on) = self.switch(before.method.span(), &format!("let everything through .{name}()"))
        {
            let body = &closure.body;
            *closure.body = Expr::Verbatim(quote!({ #on || (#body) }));
        }
        if let Some(wrapped) = self.wrap(before.method.span(), changed, expression) {
            *expression = wrapped;
        }
    }

    /// `if` without its branch: the check is gone.
    fn never(&mut self, at: Span, condition: &mut Expr) {
        if let Some(on) = self.switch(at, "never take the branch of if") {
            *condition = match holds_let(condition) {
                true => Expr::Verbatim(quote!(!#on && #condition)),
                false => Expr::Verbatim(quote!(!#on && (#condition))),
            };
        }
    }

    fn arm(&mut self, arm: &mut Arm, wildcard_follows: bool) {
        match &mut arm.pat {
            Pat::Guard(guarded) => {
                if holds_let(&guarded.guard) {
                    return;
                }
                let at = guarded.if_token.span();
                let always = self.switch(at, "replace match guard with true");
                let never = self.switch(at, "replace match guard with false");
                let guard = &guarded.guard;
                let guard = never.map_or_else(|| quote!((#guard)), |never| quote!((!#never && (#guard))));
                *guarded.guard =
                    Expr::Verbatim(always.map_or(guard.clone(), |always| quote!((#always || #guard))));
            }
            pattern if wildcard_follows && !is_wildcard(pattern) => {
                let what = format!("delete match arm {}", values::spelled(pattern));
                if let Some(on) = self.switch(pattern.span(), &what) {
                    *pattern = Pat::Verbatim(quote!(#pattern if !#on));
                }
            }
            _ => {}
        }
    }

    fn function(&mut self, attributes: &[Attribute], signature: &Signature, block: &mut Block) {
        if signature.constness.is_some() || is_of_tests(attributes) {
            return;
        }
        self.within.push(signature.ident.to_string());
        let body = values::spelled(&Statements(block));
        let empty = block.stmts.is_empty();
        self.visit_block_mut(block);
        let mut switches = Vec::new();
        for value in values::of_return(&signature.output) {
            let reads = if value.is_empty() { "()".to_owned() } else { values::spelled(&value) };
            if body == reads || empty {
                continue;
            }
            if let Some(on) = self.switch(signature.ident.span(), &format!("replace the body with {reads}")) {
                switches.push(Stmt::Expr(Expr::Verbatim(quote!(if #on { return #value; })), None));
            }
        }
        block.stmts.splice(0..0, switches);
        self.within.pop();
    }

    fn statement(&mut self, statement: &mut Stmt) {
        match statement {
            Stmt::Expr(Expr::Try(tried), Some(_)) => {
                let at = tried.question_token.span();
                let before = tried.expr.clone();
                visit_mut::visit_expr_try_mut(self, tried);
                if let Some(on) = self.switch(at, "ignore the error of ?") {
                    let tokens = quote!(if #on { let _ = #before; } else { #tried; });
                    *statement = Stmt::Expr(Expr::Verbatim(tokens), None);
                }
            }
            Stmt::Macro(written) if written.semi_token.is_none() && written.mac.path.is_ident("matches") => {
                let at = written.mac.path.span();
                if let Some(on) = self.switch(at, "negate matches!") {
                    *statement = Stmt::Expr(Expr::Verbatim(quote!((#written ^ #on))), None);
                }
            }
            _ => visit_mut::visit_stmt_mut(self, statement),
        }
    }
}

impl VisitMut for Instrumenter<'_> {
    fn visit_expr_mut(&mut self, expression: &mut Expr) {
        if let Expr::Macro(written) = expression {
            if written.mac.path.is_ident("matches")
                && let Some(on) = self.switch(written.mac.path.span(), "negate matches!")
            {
                *expression = Expr::Verbatim(quote!((#written ^ #on)));
            }
            return;
        }
        let before = match expression {
            Expr::Binary(_) | Expr::Unary(_) | Expr::MethodCall(_) => Some(expression.clone()),
            _ => None,
        };
        visit_mut::visit_expr_mut(self, expression);
        match before {
            Some(Expr::Binary(before)) => self.binary(expression, &before),
            Some(Expr::Unary(before)) => self.unary(expression, &before),
            Some(Expr::MethodCall(before)) => self.method(expression, &before),
            _ => {}
        }
    }

    fn visit_expr_if_mut(&mut self, branch: &mut syn::ExprIf) {
        let at = branch.if_token.span();
        let chained = holds_let(&branch.cond);
        visit_mut::visit_expr_if_mut(self, branch);
        // What was a chain with `let` stays one.
        debug_assert_eq!(chained, holds_let(&branch.cond));
        self.never(at, &mut branch.cond);
    }

    fn visit_expr_match_mut(&mut self, matched: &mut syn::ExprMatch) {
        visit_mut::visit_expr_match_mut(self, matched);
        let wildcard = matched.arms.last().is_some_and(|arm| is_wildcard(&arm.pat));
        let last = matched.arms.len().saturating_sub(1);
        for (n, arm) in matched.arms.iter_mut().enumerate() {
            if !is_of_tests(&arm.attrs) {
                self.arm(arm, wildcard && n < last);
            }
        }
    }

    fn visit_stmt_mut(&mut self, statement: &mut Stmt) {
        self.statement(statement);
    }

    fn visit_item_mut(&mut self, item: &mut syn::Item) {
        let attributes: &[Attribute] = match item {
            syn::Item::Fn(item) => &item.attrs,
            syn::Item::Impl(item) => &item.attrs,
            syn::Item::Mod(item) => &item.attrs,
            syn::Item::Trait(item) => &item.attrs,
            _ => return,
        };
        if !is_of_tests(attributes) {
            visit_mut::visit_item_mut(self, item);
        }
    }

    fn visit_item_impl_mut(&mut self, item: &mut syn::ItemImpl) {
        let of = item
            .trait_
            .as_ref()
            .and_then(|(path, _)| path.segments.last())
            .map(|last| last.ident.to_string());
        // What a value looks like in a test's message, and what a default is worth, says nothing about a rule.
        if matches!(of.as_deref(), Some("Debug" | "Default")) {
            return;
        }
        let own = values::spelled(&item.self_ty);
        self.within.push(of.map_or(own.clone(), |of| format!("<{of} for {own}>")));
        visit_mut::visit_item_impl_mut(self, item);
        self.within.pop();
    }

    fn visit_item_fn_mut(&mut self, item: &mut syn::ItemFn) {
        self.function(&item.attrs, &item.sig, &mut item.block);
    }

    fn visit_impl_item_fn_mut(&mut self, item: &mut syn::ImplItemFn) {
        self.function(&item.attrs, &item.sig, &mut item.block);
    }

    fn visit_trait_item_fn_mut(&mut self, item: &mut syn::TraitItemFn) {
        if let Some(block) = &mut item.default {
            self.function(&item.attrs, &item.sig, block);
        }
    }

    // What is worked out while compiling cannot be switched.
    fn visit_impl_item_const_mut(&mut self, _: &mut syn::ImplItemConst) {}
    fn visit_trait_item_const_mut(&mut self, _: &mut syn::TraitItemConst) {}
    fn visit_expr_const_mut(&mut self, _: &mut syn::ExprConst) {}
    fn visit_expr_repeat_mut(&mut self, repeat: &mut syn::ExprRepeat) {
        self.visit_expr_mut(&mut repeat.expr);
    }
    fn visit_type_mut(&mut self, _: &mut syn::Type) {}
    fn visit_generic_argument_mut(&mut self, _: &mut syn::GenericArgument) {}
    fn visit_generics_mut(&mut self, _: &mut syn::Generics) {}
    fn visit_attribute_mut(&mut self, _: &mut Attribute) {}
    fn visit_pat_mut(&mut self, pattern: &mut Pat) {
        if let Pat::Guard(guarded) = pattern {
            self.visit_expr_mut(&mut guarded.guard);
        }
    }
}

/// The statements of a block, without its braces.
struct Statements<'a>(&'a Block);

impl ToTokens for Statements<'_> {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        for statement in &self.0.stmts {
            statement.to_tokens(tokens);
        }
    }
}

/// What is compiled only for tests, or is one.
pub(crate) fn is_of_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| match &attribute.meta {
        Meta::List(list) if list.path.is_ident("cfg") => {
            let condition = list.tokens.to_string();
            condition.contains("test") && !condition.contains("not")
        }
        meta => meta.path().segments.last().is_some_and(|last| last.ident == "test" || last.ident == "bench"),
    })
}

/// Whether `let` stands in a condition, by itself or in a chain: that cannot be moved or put in parentheses.
fn holds_let(condition: &Expr) -> bool {
    match condition {
        Expr::Let(_) => true,
        Expr::Binary(binary) if matches!(binary.op, BinOp::And(_)) => {
            holds_let(&binary.left) || holds_let(&binary.right)
        }
        _ => false,
    }
}

/// An arm that takes whatever is left.
fn is_wildcard(pattern: &Pat) -> bool {
    match pattern {
        Pat::Wild(_) => true,
        Pat::Ident(name) => {
            name.subpat.is_none() && name.ident.to_string().starts_with(|c: char| c.is_lowercase())
        }
        _ => false,
    }
}
