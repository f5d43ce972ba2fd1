//! Graph operators.

use super::{Parsed, Parser};
use crate::ast::{Direction, GraphElement, GraphMatch, GraphOutput, MakeGraph, OperatorKind};
use crate::token::Tok;

impl Parser<'_> {
    pub(super) fn graph_operator(&mut self, name: &str) -> Parsed<OperatorKind> {
        Ok(match name {
            "make-graph" => OperatorKind::MakeGraph(Box::new(self.make_graph()?)),
            "graph-match" => OperatorKind::GraphMatch(Box::new(self.graph_match(false)?)),
            "graph-shortest-paths" => OperatorKind::GraphMatch(Box::new(self.graph_match(true)?)),
            "graph-mark-components" => {
                OperatorKind::GraphMarkComponents(self.parameters(&["kind", "with_component_id"])?)
            }
            "graph-where-nodes" | "graph-where-edges" => {
                OperatorKind::GraphWhere { edges: name == "graph-where-edges", predicate: self.expression()? }
            }
            "graph-to-table" => OperatorKind::GraphToTable(self.list(Self::graph_output)?),
            _ => return self.expected("an operator"),
        })
    }

    fn make_graph(&mut self) -> Parsed<MakeGraph> {
        let mut parameters = self.parameters(&["with_node_id"])?;
        let source = self.postfix(false)?;
        self.expect(Tok::Minus)?;
        self.expect(Tok::Minus)?;
        self.expect(Tok::Gt)?;
        let target = self.postfix(false)?;
        let mut nodes = Vec::new();
        parameters.extend(self.parameters(&["with_node_id"])?);
        if self.eat_word("with") {
            nodes = self.list(|p| {
                let table = p.postfix(false)?;
                p.expect_word("on")?;
                Ok((table, p.postfix(false)?))
            })?;
        }
        parameters.extend(self.parameters(&["with_node_id"])?);
        let mut partitioned_by = None;
        if self.at_word("partitioned") && self.peek(1) == Tok::Minus && self.word(2) == "by" {
            for _ in 0..3 {
                self.next();
            }
            let column = self.entity()?;
            partitioned_by = Some((column, self.subquery()?));
        }
        Ok(MakeGraph { source, target, nodes, parameters, partitioned_by })
    }

    fn graph_match(&mut self, shortest: bool) -> Parsed<GraphMatch> {
        let parameters = self.parameters(&["cycles", "output"])?;
        let patterns = self.list(Self::graph_pattern)?;
        let predicate = if self.eat_word("where") { Some(self.expression()?) } else { None };
        let project = if self.eat_word("project") { self.list(Self::named)? } else { Vec::new() };
        Ok(GraphMatch { shortest, parameters, patterns, predicate, project })
    }

    /// `(a)-[e]->(b)…`.
    fn graph_pattern(&mut self) -> Parsed<Vec<GraphElement>> {
        let mut out = vec![self.graph_node()?];
        while matches!(self.tok(), Tok::Minus | Tok::Lt) {
            let left = self.eat(Tok::Lt);
            self.expect(Tok::Minus)?;
            let (mut name, mut length) = (None, None);
            if self.tok() == Tok::LBracket {
                let open = self.at;
                self.next();
                if self.at_name() {
                    name = Some(self.name()?);
                }
                if self.eat(Tok::Star) {
                    length = Some(self.path_length()?);
                }
                self.expect_close(Tok::RBracket, open)?;
            }
            self.expect(Tok::Minus)?;
            let right = self.eat(Tok::Gt);
            let direction = match (left, right) {
                (true, false) => Direction::Left,
                (false, true) => Direction::Right,
                _ => Direction::Any,
            };
            out.push(GraphElement::Edge { name, length, direction });
            out.push(self.graph_node()?);
        }
        Ok(out)
    }

    /// `1..5`, `..5`, `3`.
    fn path_length(&mut self) -> Parsed<(Option<crate::ast::Expr>, Option<crate::ast::Expr>)> {
        let from = if self.tok() == Tok::DotDot { None } else { Some(self.postfix(false)?) };
        let to = if self.eat(Tok::DotDot) && self.tok() != Tok::RBracket {
            Some(self.postfix(false)?)
        } else {
            None
        };
        Ok((from, to))
    }

    fn graph_node(&mut self) -> Parsed<GraphElement> {
        let open = self.at;
        self.expect(Tok::LParen)?;
        let name = if self.at_name() { Some(self.name()?) } else { None };
        self.expect_close(Tok::RParen, open)?;
        Ok(GraphElement::Node(name))
    }

    /// `nodes as N with_node_id=id`, the two parts in either order.
    fn graph_output(&mut self) -> Parsed<GraphOutput> {
        let edges = if self.eat_word("edges") {
            true
        } else {
            self.expect_word("nodes")?;
            false
        };
        let mut name = None;
        let mut parameters = Vec::new();
        loop {
            if self.eat_word("as") {
                name = Some(self.name()?);
                continue;
            }
            let more = self.parameters(&["with_node_id", "with_source_id", "with_target_id"])?;
            if more.is_empty() {
                return Ok(GraphOutput { edges, name, parameters });
            }
            parameters.extend(more);
        }
    }
}
