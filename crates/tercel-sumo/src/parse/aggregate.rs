//! Aggregations: `f1 [as a], f2 [as b] by x, y`.

use tercel_ir::Diagnostic;

use super::{Parser, R};
use crate::ast::*;
use crate::lexer::{P, Tok};

/// Aggregate functions, in lower case, sorted.
const AGGREGATES: &[&str] = &[
    "approx_count_distinct",
    "avg",
    "count",
    "count_distinct",
    "count_frequent",
    "estimate_count_distinct",
    "first",
    "last",
    "least_recent",
    "max",
    "median",
    "min",
    "most_recent",
    "pct",
    "stddev",
    "sum",
    "values",
    "variance",
];

/// Whether this is an aggregate function. `lower` is in lower case.
pub(crate) fn is_aggregate(lower: &str) -> bool {
    AGGREGATES.binary_search(&lower).is_ok()
}

impl Parser<'_> {
    fn at_aggregate(&self) -> bool {
        self.cur.tok == Tok::Ident && is_aggregate(&self.text(self.cur).to_ascii_lowercase())
    }

    /// An aggregation, or `None` (and nothing read) when the stage only starts like one: `max(a, b) as c`,
    /// `count * 2 as x`, `sum / total as y`.
    pub(super) fn aggregate_stage(&mut self) -> R<Option<Operator>> {
        let (first, last_end) = (self.cur, self.last_end);
        let mut items = Vec::new();
        let mut by = Vec::new();
        loop {
            match self.aggregate_item()? {
                Some(item) => items.push(item),
                None if items.is_empty() => {
                    self.rewind(first, last_end);
                    return Ok(None);
                }
                None => return self.unexpected("an aggregate function"),
            }
            if items.len() == 1 && self.is_arithmetic() {
                self.rewind(first, last_end);
                return Ok(None);
            }
            if !self.is(P::Comma) {
                break;
            }
            let (comma, end) = (self.cur, self.last_end);
            self.bump();
            // `count a, b`: what follows a comma and is no function is a field to group by.
            if !self.at_aggregate() || self.peek_is_field_position() {
                self.rewind(comma, end);
                if items.last().is_some_and(|i| i.function.text.starts_with("count")) {
                    break;
                }
                self.bump();
                return self.unexpected("an aggregate function");
            }
        }
        self.group_by(&mut items, &mut by)?;
        Ok(Some(Operator::Aggregate { items, by }))
    }

    /// After a comma: `count a, first` groups by a field that is called like a function.
    fn peek_is_field_position(&mut self) -> bool {
        let t = self.peek2();
        !(t.tok == Tok::P(P::Open)
            || self.token_is_kw(self.cur, "count")
            || self.token_is_kw(t, "as")
            || t.tok == Tok::Ident
            || t.tok == Tok::QuotedName)
    }

    fn is_arithmetic(&self) -> bool {
        matches!(
            self.cur.tok,
            Tok::P(
                P::Plus
                    | P::Minus
                    | P::Star
                    | P::Slash
                    | P::Percent
                    | P::Eq
                    | P::Ne
                    | P::Lt
                    | P::Le
                    | P::Gt
                    | P::Ge
                    | P::Question
            )
        ) || self.is_kw("matches")
            || self.is_kw("in")
            || self.is_kw("contains")
    }

    /// `f(a, b) as x`, `count as x`, `count x`. `None` when it is a scalar call after all.
    pub(super) fn aggregate_item(&mut self) -> R<Option<Aggregate>> {
        let t = self.bump();
        let lower = self.text(t).to_ascii_lowercase();
        let mut args = Vec::new();
        if self.eat(P::Open) {
            while !self.is(P::Close) {
                if self.is(P::Star) {
                    // `count(*)`
                    self.bump();
                } else {
                    args.push(self.expr()?);
                }
                if !self.eat(P::Comma) {
                    break;
                }
            }
            self.expect(P::Close, "`,` or `)` in the arguments")?;
            // Two fields: the scalar `min(a, b)`.
            if matches!(lower.as_str(), "min" | "max") && args.len() > 1 {
                return Ok(None);
            }
        } else if !lower.starts_with("count") {
            // `sum x` is written now and then; a function alone is a field of that name.
            let field = matches!(self.cur.tok, Tok::QuotedName)
                || self.cur.tok == Tok::Ident
                    && !self.is_kw("as")
                    && !self.is_kw("by")
                    && !self.is_arithmetic();
            if !field {
                return Ok(None);
            }
            args.push(self.expr()?);
        }
        let alias = self.alias()?;
        let function = Name { text: lower, at: At(t.span()) };
        Ok(Some(Aggregate { function, args, alias, state: None }))
    }

    /// `by a, b`, `group by a`, or nothing but the fields (`count a, b`; `count as n a`).
    fn group_by(&mut self, items: &mut [Aggregate], by: &mut Vec<GroupKey>) -> R<()> {
        if self.by_keyword() {
            *by = self.group_keys()?;
            return Ok(());
        }
        let count = items.last().is_some_and(|i| i.function.text.starts_with("count"));
        if count && matches!(self.cur.tok, Tok::Ident | Tok::QuotedName) {
            *by = self.group_keys()?;
        } else if matches!(self.cur.tok, Tok::Ident | Tok::QuotedName)
            && self.whole_template().is_none()
            && items.last().is_some_and(|i| !i.args.is_empty() && i.alias.is_none())
        {
            self.report(
                Diagnostic::warning("sumo-missing-by", "the fields to group by come without `by`")
                    .at(self.cur.span())
                    .meaning("read as if `by` stood before them")
                    .help("write `by` before the fields"),
            );
            *by = self.group_keys()?;
        } else if count && self.is(P::Comma) {
            self.bump();
            *by = self.group_keys()?;
        }
        if self.by_keyword() {
            by.extend(self.group_keys()?);
        }
        // `count_distinct a, b` counts its field; only `count` and `count_frequent` take fields as groups.
        if let Some(item) = items.last_mut()
            && matches!(item.function.text.as_str(), "count_distinct" | "approx_count_distinct")
            && item.args.is_empty()
            && !by.is_empty()
        {
            item.args.push(by.remove(0).expr);
        }
        Ok(())
    }

    /// `by`, `group by`, `group`.
    pub(super) fn by_keyword(&mut self) -> bool {
        if self.eat_kw("by") {
            return true;
        }
        if self.is_kw("group") {
            let t = self.peek2();
            if self.token_is_kw(t, "by") {
                self.bump();
                self.bump();
                return true;
            }
        }
        false
    }

    /// Fields, now and then expressions, with optional new names.
    pub(super) fn group_keys(&mut self) -> R<Vec<GroupKey>> {
        let paren = self.is(P::Open) && {
            // `by (a, b)`: parentheses around the list.
            let (open, end) = (self.cur, self.last_end);
            self.bump();
            let list = matches!(self.cur.tok, Tok::Ident | Tok::QuotedName) && {
                let t = self.peek2();
                matches!(t.tok, Tok::P(P::Comma | P::Close))
            };
            if !list {
                self.rewind(open, end);
            }
            list
        };
        let mut keys = Vec::new();
        loop {
            // A trailing comma before the end of the stage.
            if !keys.is_empty() && matches!(self.cur.tok, Tok::Eof | Tok::P(P::Pipe | P::Close)) {
                break;
            }
            let expr = self.expr()?;
            let alias = self.alias()?;
            // `top 10 user by _count, user asc`: the direction is taken and has no meaning of its own.
            if !self.eat_kw("asc") {
                self.eat_kw("desc");
            }
            keys.push(GroupKey { expr, alias });
            if !self.eat(P::Comma) {
                break;
            }
        }
        if paren {
            self.expect(P::Close, "`)`")?;
        }
        Ok(keys)
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn names_are_sorted() {
        assert!(super::AGGREGATES.is_sorted());
    }
}
