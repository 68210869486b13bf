//! Finds what can be changed: the operators of cargo-mutants, and statements left out.

use proc_macro2::Span;
use std::ops::Range;
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{BinOp, Expr, ReturnType, Stmt, Type, UnOp};

/// A change: what stands in its place, and how it is told.
pub(crate) struct Change {
    pub(crate) text: String,
    pub(crate) what: String,
}

/// A place of the source with the changes that are possible there, one at a time.
pub(crate) struct Site {
    pub(crate) place: Range<usize>,
    pub(crate) line: usize,
    pub(crate) function: String,
    pub(crate) form: Form,
    pub(crate) changes: Vec<Change>,
}

/// How a change is put behind a switch.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// An expression: `match active() { N => change, _ => as it was }`.
    Expression,
    /// At the start of a function's body: `if active() == N { return change; }`.
    Start,
    /// Behind a pattern: `if active() != N`.
    Guard,
    /// A statement: `if active() != N { as it was }`.
    Statement,
}

pub(crate) fn sites(source: &str) -> syn::Result<Vec<Site>> {
    let file = syn::parse_file(source)?;
    let mut finder = Finder { source, function: String::new(), sites: Vec::new() };
    finder.visit_file(&file);
    Ok(finder.sites)
}

struct Finder<'s> {
    source: &'s str,
    function: String,
    sites: Vec<Site>,
}

impl Finder<'_> {
    fn text(&self, node: &impl Spanned) -> &str {
        self.source.get(node.span().byte_range()).unwrap_or("")
    }

    fn add(&mut self, span: Span, form: Form, changes: Vec<(String, String)>) {
        let changes: Vec<_> =
            changes.into_iter().map(|(text, what)| Change { text, what }).collect();
        if !changes.is_empty() && !self.function.is_empty() {
            let (place, line) = (span.byte_range(), span.start().line);
            self.sites.push(Site { place, line, function: self.function.clone(), form, changes });
        }
    }

    fn function(
        &mut self,
        signature: &syn::Signature,
        attributes: &[syn::Attribute],
        block: &syn::Block,
    ) {
        if signature.constness.is_some() || for_tests(attributes) {
            return;
        }
        let outer = std::mem::replace(&mut self.function, signature.ident.to_string());
        let values = match &signature.output {
            ReturnType::Default if block.stmts.is_empty() => vec![],
            ReturnType::Default => vec![String::new()],
            ReturnType::Type(_, of) => values(of),
        };
        let changes = values.into_iter().map(|value| {
            let what = format!("returns {}", if value.is_empty() { "at once" } else { &value });
            (value, what)
        });
        self.add(block.brace_token.span.open(), Form::Start, changes.collect());
        self.visit_block(block);
        self.function = outer;
    }
}

/// Values of a type, for a function to return at once.
fn values(of: &Type) -> Vec<String> {
    match of {
        Type::Path(path) => {
            let Some(last) = path.path.segments.last() else { return vec![] };
            let inner = match &last.arguments {
                syn::PathArguments::AngleBracketed(list) => {
                    list.args.iter().find_map(|arg| match arg {
                        syn::GenericArgument::Type(inner) => Some(inner),
                        _ => None,
                    })
                }
                _ => None,
            };
            let wrapped = |name: &str| {
                let inner = inner.map_or(vec![], values);
                inner.into_iter().map(|value| format!("{name}({value})")).collect::<Vec<_>>()
            };
            match last.ident.to_string().as_str() {
                "bool" => vec!["true".into(), "false".into()],
                "u8" | "u16" | "u32" | "u64" | "usize" => vec!["0".into(), "1".into()],
                "PageId" => vec!["crate::PageId(0)".into(), "crate::PageId(2)".into()],
                "TxnId" => vec!["crate::TxnId(0)".into(), "crate::TxnId(1)".into()],
                "Result" => wrapped("Ok"),
                "Option" => [vec!["None".to_string()], wrapped("Some")].concat(),
                _ => vec!["Default::default()".into()],
            }
        }
        Type::Tuple(tuple) => {
            let first = |of| values(of).into_iter().next();
            let parts: Option<Vec<_>> = tuple.elems.iter().map(first).collect();
            parts.map_or(vec![], |parts| vec![format!("({})", parts.join(", "))])
        }
        Type::Reference(reference) if matches!(*reference.elem, Type::Slice(_)) => {
            vec![if reference.mutability.is_some() { "&mut []".into() } else { "&[]".into() }]
        }
        _ => vec![],
    }
}

fn for_tests(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("test")
            || attribute.path().is_ident("cfg")
                && attribute.meta.require_list().is_ok_and(|list| {
                    list.tokens.to_string() == "test" || list.tokens.to_string().contains("planted")
                })
    })
}

fn others(op: &BinOp) -> &'static [&'static str] {
    match op {
        BinOp::Add(_) => &["-", "*"],
        BinOp::Sub(_) => &["+", "/"],
        BinOp::Mul(_) => &["+", "/"],
        BinOp::Div(_) => &["%", "*"],
        BinOp::Rem(_) => &["/", "+"],
        BinOp::And(_) => &["||"],
        BinOp::Or(_) => &["&&"],
        BinOp::BitXor(_) => &["|", "&"],
        BinOp::BitAnd(_) => &["|", "^"],
        BinOp::BitOr(_) => &["&", "^"],
        BinOp::Shl(_) => &[">>"],
        BinOp::Shr(_) => &["<<"],
        BinOp::Eq(_) => &["!="],
        BinOp::Ne(_) => &["=="],
        BinOp::Lt(_) => &["==", ">", "<="],
        BinOp::Gt(_) => &["==", "<", ">="],
        BinOp::Le(_) => &[">", "<"],
        BinOp::Ge(_) => &["<", ">"],
        BinOp::AddAssign(_) => &["-=", "*="],
        BinOp::SubAssign(_) => &["+=", "/="],
        BinOp::MulAssign(_) | BinOp::DivAssign(_) => &["+="],
        BinOp::BitOrAssign(_) => &["&=", "^="],
        BinOp::BitAndAssign(_) => &["|=", "^="],
        BinOp::BitXorAssign(_) => &["|=", "&="],
        BinOp::ShlAssign(_) => &[">>="],
        BinOp::ShrAssign(_) => &["<<="],
        _ => &[],
    }
}

/// `let` in a chain of conditions: no expression of its own.
fn has_let(expr: &Expr) -> bool {
    match expr {
        Expr::Let(_) => true,
        Expr::Binary(binary) => has_let(&binary.left) || has_let(&binary.right),
        _ => false,
    }
}

impl<'a> Visit<'a> for Finder<'_> {
    fn visit_item_fn(&mut self, item: &'a syn::ItemFn) {
        self.function(&item.sig, &item.attrs, &item.block);
    }

    fn visit_impl_item_fn(&mut self, item: &'a syn::ImplItemFn) {
        self.function(&item.sig, &item.attrs, &item.block);
    }

    fn visit_trait_item_fn(&mut self, item: &'a syn::TraitItemFn) {
        if let Some(block) = &item.default {
            self.function(&item.sig, &item.attrs, block);
        }
    }

    fn visit_item_mod(&mut self, item: &'a syn::ItemMod) {
        if !for_tests(&item.attrs) {
            visit::visit_item_mod(self, item);
        }
    }

    fn visit_item_impl(&mut self, item: &'a syn::ItemImpl) {
        // What a debugger shows.
        let shown = item.trait_.as_ref().and_then(|(_, path, _)| path.segments.last());
        if !shown.is_some_and(|last| last.ident == "Debug" || last.ident == "Display") {
            visit::visit_item_impl(self, item);
        }
    }

    // Constants are no code that runs.
    fn visit_item_const(&mut self, _: &'a syn::ItemConst) {}
    fn visit_item_static(&mut self, _: &'a syn::ItemStatic) {}
    fn visit_impl_item_const(&mut self, _: &'a syn::ImplItemConst) {}
    fn visit_pat(&mut self, _: &'a syn::Pat) {}
    fn visit_type(&mut self, _: &'a Type) {}
    fn visit_expr_repeat(&mut self, repeat: &'a syn::ExprRepeat) {
        self.visit_expr(&repeat.expr);
    }

    fn visit_expr_binary(&mut self, binary: &'a syn::ExprBinary) {
        if !has_let(&binary.left) && !has_let(&binary.right) {
            let (left, right) = (self.text(&binary.left), self.text(&binary.right));
            let op = self.text(&binary.op);
            let changes = others(&binary.op).iter();
            let changes = changes
                .map(|other| {
                    (
                        format!("({left}) {other} ({right})"),
                        format!("{op} is {other}: {left} {op} {right}"),
                    )
                })
                .collect();
            self.add(binary.span(), Form::Expression, changes);
        }
        visit::visit_expr_binary(self, binary);
    }

    fn visit_expr_unary(&mut self, unary: &'a syn::ExprUnary) {
        if matches!(unary.op, UnOp::Not(_) | UnOp::Neg(_)) {
            let inner = self.text(&unary.expr).to_string();
            let what = format!("no {}: {}", self.text(&unary.op), self.text(unary));
            self.add(unary.span(), Form::Expression, vec![(inner, what)]);
        }
        visit::visit_expr_unary(self, unary);
    }

    fn visit_expr_struct(&mut self, item: &'a syn::ExprStruct) {
        if let Some(rest) = &item.rest {
            for field in &item.fields {
                let (name, rest) = (self.text(&field.member), self.text(rest));
                let change = (format!("({rest}).{name}"), format!("no field {name}"));
                if field.colon_token.is_some() {
                    self.add(field.expr.span(), Form::Expression, vec![change]);
                }
            }
        }
        visit::visit_expr_struct(self, item);
    }

    fn visit_expr_match(&mut self, item: &'a syn::ExprMatch) {
        let rest =
            item.arms.iter().any(|arm| matches!(arm.pat, syn::Pat::Wild(_)) && arm.guard.is_none());
        for arm in &item.arms {
            let pattern = self.text(&arm.pat).to_string();
            if let Some((_, guard)) = &arm.guard {
                let change =
                    |value: &str| (value.to_string(), format!("guard of {pattern} is {value}"));
                self.add(guard.span(), Form::Expression, vec![change("true"), change("false")]);
            } else if rest && !matches!(arm.pat, syn::Pat::Wild(_)) {
                let what = format!("no arm {pattern}");
                self.add(arm.pat.span(), Form::Guard, vec![(String::new(), what)]);
            }
        }
        visit::visit_expr_match(self, item);
    }

    fn visit_stmt(&mut self, stmt: &'a Stmt) {
        if let Stmt::Expr(expr, Some(_)) = stmt {
            let leaves_out = match expr {
                Expr::Assign(_) | Expr::Call(_) | Expr::MethodCall(_) => true,
                Expr::Try(tried) => matches!(*tried.expr, Expr::Call(_) | Expr::MethodCall(_)),
                Expr::Binary(binary) => !others(&binary.op).is_empty(),
                _ => false,
            };
            if leaves_out {
                let text = self.text(expr).split_whitespace().collect::<Vec<_>>().join(" ");
                self.add(
                    stmt.span(),
                    Form::Statement,
                    vec![(String::new(), format!("without {text}"))],
                );
            }
        }
        visit::visit_stmt(self, stmt);
    }
}
