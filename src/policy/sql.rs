//! Whether an SQL text only reads, told by a real parser.
//!
//! A list of forbidden words refuses a column named `update_time` and passes what stands in
//! a common table expression; the parser knows which is which. What it cannot parse, or what
//! is too large to be walked safely, is not known to read only, and counts as not.

use std::ops::ControlFlow;

use sqlparser::ast::{Query, Select, SetExpr, Statement, Visit as _, Visitor};
use sqlparser::dialect::{
    BigQueryDialect, Dialect as Grammar, DuckDbDialect, GenericDialect, MsSqlDialect, MySqlDialect,
    PostgreSqlDialect, SQLiteDialect, SnowflakeDialect,
};
use sqlparser::parser::Parser;
use sqlparser::tokenizer::{Token, Tokenizer};

/// Bytes of a query.
const BYTES_MAX: usize = 64 << 10;
/// Tokens of a query that can nest: all but commas and literals. The parser's result is as
/// deep as a chain of operators is long, and walking it takes the stack.
const TOKENS_MAX: usize = 2_000;

/// Whose grammar a query is written in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Dialect {
    /// Not known: it must read in every grammar that takes it, and one must.
    #[default]
    Any,
    Postgres,
    Mysql,
    Mssql,
    Sqlite,
    Bigquery,
    Snowflake,
    Duckdb,
}

impl Dialect {
    pub(super) const ALL: &'static [Self] = &[
        Self::Any,
        Self::Postgres,
        Self::Mysql,
        Self::Mssql,
        Self::Sqlite,
        Self::Bigquery,
        Self::Snowflake,
        Self::Duckdb,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Any => "any",
            Self::Postgres => "postgres",
            Self::Mysql => "mysql",
            Self::Mssql => "mssql",
            Self::Sqlite => "sqlite",
            Self::Bigquery => "bigquery",
            Self::Snowflake => "snowflake",
            Self::Duckdb => "duckdb",
        }
    }

    fn grammars(self) -> &'static [&'static dyn Grammar] {
        match self {
            Self::Any => &[
                &GenericDialect {},
                &PostgreSqlDialect {},
                &MySqlDialect {},
                &MsSqlDialect {},
                &SQLiteDialect {},
            ],
            Self::Postgres => &[&PostgreSqlDialect {}],
            Self::Mysql => &[&MySqlDialect {}],
            Self::Mssql => &[&MsSqlDialect {}],
            Self::Sqlite => &[&SQLiteDialect {}],
            Self::Bigquery => &[&BigQueryDialect],
            Self::Snowflake => &[&SnowflakeDialect],
            Self::Duckdb => &[&DuckDbDialect {}],
        }
    }
}

/// Whether the text is one or more queries, and nothing in them writes, locks or calls a
/// procedure. What a function does that a query calls is not known here.
pub(super) fn reads_only(text: &str, dialect: Dialect) -> bool {
    // MySQL runs what stands in such a comment; other readers skip it.
    if text.len() > BYTES_MAX || text.contains("/*!") || text.contains("/*M!") {
        return false;
    }
    // Whether a backslash ends a string or belongs to it, depends on whose string it is.
    if dialect == Dialect::Any && text.contains("\\'") {
        return false;
    }
    let mut read = false;
    for grammar in dialect.grammars() {
        match parse(text, *grammar) {
            Some(statements) if statements.iter().all(is_query) => read |= !statements.is_empty(),
            Some(_) => return false,
            None => {}
        }
    }
    read
}

fn parse(text: &str, grammar: &dyn Grammar) -> Option<Vec<Statement>> {
    let tokens = Tokenizer::new(grammar, text).tokenize_with_location().ok()?;
    let nesting = tokens.iter().filter(|token| {
        !matches!(
            token.token,
            Token::Comma
                | Token::Number(..)
                | Token::SingleQuotedString(_)
                | Token::Whitespace(_)
                | Token::EOF
        )
    });
    if nesting.count() > TOKENS_MAX {
        return None;
    }
    Parser::new(grammar).with_tokens_with_locations(tokens).parse_statements().ok()
}

fn is_query(statement: &Statement) -> bool {
    let reads = matches!(
        statement,
        Statement::Query(_) | Statement::ShowTables { .. } | Statement::ShowColumns { .. }
    ) || matches!(statement, Statement::Explain { analyze: false, options: None, .. });
    reads && statement.visit(&mut Writes { outermost: true }).is_continue()
}

/// Breaks at the first thing that is more than reading.
struct Writes {
    outermost: bool,
}

impl Visitor for Writes {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        let writes = matches!(
            *query.body,
            SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) | SetExpr::Merge(_)
        );
        if writes || !query.locks.is_empty() {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<()> {
        if select.into.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    fn pre_visit_statement(&mut self, statement: &Statement) -> ControlFlow<()> {
        let first = std::mem::replace(&mut self.outermost, false);
        if first || matches!(statement, Statement::Query(_)) {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_read_and_everything_else_does_not() {
        for (dialect, text) in [
            (Dialect::Any, "SELECT name, update_time FROM customers WHERE deleted = false"),
            (Dialect::Any, "select * from t where note = 'drop table students; --'"),
            (Dialect::Any, "WITH a AS (SELECT 1 AS n) SELECT n FROM a UNION ALL SELECT 2"),
            (Dialect::Any, "SELECT 1; SELECT 2;"),
            (Dialect::Any, "EXPLAIN SELECT * FROM t"),
            (Dialect::Postgres, "SELECT data->>'x' FROM t WHERE id = ANY(ARRAY[1,2]) LIMIT 5"),
            (Dialect::Postgres, r"SELECT * FROM t WHERE a = 'it\' OR b = '1'"),
            (Dialect::Mysql, "SELECT `a` FROM `t` WHERE b LIKE 'x%' LIMIT 3, 4"),
            (Dialect::Mssql, "SELECT TOP 5 [name] FROM [dbo].[t] ORDER BY [name]"),
            (Dialect::Snowflake, "SELECT a:b.c FROM t QUALIFY ROW_NUMBER() OVER (ORDER BY a) = 1"),
        ] {
            assert!(reads_only(text, dialect), "{text}");
        }
        for text in [
            "",
            "-- nothing",
            "hello there",
            "DELETE FROM customers",
            "SELECT 1; DROP TABLE customers",
            "WITH gone AS (DELETE FROM t RETURNING *) SELECT * FROM gone",
            "WITH x AS (UPDATE t SET a = 1 RETURNING a) SELECT * FROM x",
            "WITH x AS (INSERT INTO t VALUES (1) RETURNING a) SELECT * FROM x",
            "SELECT * INTO copy FROM customers",
            "SELECT * FROM t FOR UPDATE",
            "INSERT INTO t SELECT * FROM u",
            "UPDATE t SET a = 1",
            "EXPLAIN ANALYZE DELETE FROM t",
            "EXPLAIN DELETE FROM t",
            "CALL grant_all()",
            "SET ROLE admin",
            "COPY t TO PROGRAM 'curl x'",
            "SELECT 1 /*! ; DROP TABLE t */",
            r"SELECT '\' ; DROP TABLE t; -- '",
            "TRUNCATE t",
            "GRANT ALL ON t TO x",
        ] {
            assert!(!reads_only(text, Dialect::Any), "{text}");
            assert!(!reads_only(text, Dialect::Postgres), "{text}");
        }
    }

    #[test]
    fn large_and_deep_queries_are_refused_and_long_lists_are_not() {
        let list = (0..9_000).map(|n| n.to_string()).collect::<Vec<_>>().join(",");
        assert!(reads_only(&format!("SELECT * FROM t WHERE id IN ({list})"), Dialect::Postgres));
        assert!(reads_only(&format!("SELECT 1{}", "+1".repeat(900)), Dialect::Any));
        for deep in [
            format!("SELECT 1{}", "+1".repeat(20_000)),
            format!("SELECT {}1{}", "(".repeat(5_000), ")".repeat(5_000)),
            format!("SELECT 1{}", " UNION SELECT 1".repeat(3_000)),
            format!("SELECT {}1", "-".repeat(20_000)),
            format!("SELECT {} 1", "NOT ".repeat(10_000)),
            format!("SELECT '{}'", "x".repeat(70_000)),
        ] {
            assert!(!reads_only(&deep, Dialect::Any));
        }
    }
}
