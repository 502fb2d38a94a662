//! What is looked at of a statement before it is planned, and of its plan before it is run: that it only reads, and that it is not so large or so deep
//! that planning it takes a processor or the stack of a thread.

use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::SQLOptions;
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};

use crate::error::QueryError;

/// The longest statement, in bytes.
const MAX_BYTES: usize = 64 << 10;

/// Operators that a statement may have: each may stand within the one before, and every one of them takes from the planner's stack.
const MAX_OPERATORS: usize = 100;

/// Queries within a statement: each may use the one before more than once, and the plan grows with the power of their number.
const MAX_SELECTS: usize = 8;

/// Nodes of a plan. One that uses a subquery twice has its nodes twice.
const MAX_NODES: usize = 2000;

/// Refuses a statement that is too long or may be nested too deeply.
///
/// # Errors
/// When it is, or its text cannot be taken apart.
pub fn check_text(sql: &str) -> Result<(), QueryError> {
    if sql.len() > MAX_BYTES {
        let text = format!(
            "a statement has at most {MAX_BYTES} bytes, this has {}",
            sql.len()
        );
        return Err(QueryError::Sql(text));
    }
    let tokens = Tokenizer::new(&GenericDialect {}, sql).tokenize();
    let tokens = tokens.map_err(|e| QueryError::Sql(e.to_string()))?;
    let operators = tokens.iter().filter(|t| is_operator(t)).count();
    if operators > MAX_OPERATORS {
        return Err(QueryError::Sql(format!(
            "a statement has at most {MAX_OPERATORS} operators, this has {operators}; write x IN (…) instead of x = … OR x = …"
        )));
    }
    let is_select = |t: &&Token| matches!(t, Token::Word(w) if w.keyword == Keyword::SELECT);
    let selects = tokens.iter().filter(is_select).count();
    match selects > MAX_SELECTS {
        true => Err(QueryError::Sql(format!(
            "a statement has at most {MAX_SELECTS} SELECTs, this has {selects}: its plan may have too many nodes"
        ))),
        false => Ok(()),
    }
}

fn is_operator(token: &Token) -> bool {
    match token {
        Token::Word(word) => matches!(
            word.keyword,
            Keyword::AND
                | Keyword::OR
                | Keyword::NOT
                | Keyword::IS
                | Keyword::IN
                | Keyword::LIKE
                | Keyword::ILIKE
                | Keyword::BETWEEN
                | Keyword::CASE
                | Keyword::SELECT
                | Keyword::UNION
                | Keyword::EXCEPT
                | Keyword::INTERSECT
                | Keyword::JOIN
                | Keyword::AT
                | Keyword::COLLATE
        ),
        Token::EOF
        | Token::Number(..)
        | Token::SingleQuotedString(_)
        | Token::Whitespace(_)
        | Token::Comma
        | Token::Period
        | Token::RParen
        | Token::RBracket
        | Token::RBrace
        | Token::SemiColon => false,
        _ => true,
    }
}

/// Refuses what does more than read, and what is too large.
///
/// # Errors
/// When it is.
pub fn check_plan(plan: &LogicalPlan) -> Result<(), QueryError> {
    let options = SQLOptions::new()
        .with_allow_ddl(false)
        .with_allow_dml(false)
        .with_allow_statements(false);
    if options.verify_plan(plan).is_err() {
        let text =
            "SQL is for reading: SELECT, EXPLAIN, DESCRIBE and SHOW; publish or load data instead";
        return Err(QueryError::Sql(text.to_owned()));
    }
    let mut nodes = 0;
    let visited = plan.apply_with_subqueries(|_| {
        nodes += 1;
        Ok(match nodes > MAX_NODES {
            true => TreeNodeRecursion::Stop,
            false => TreeNodeRecursion::Continue,
        })
    });
    visited.map_err(|e| QueryError::Plan(e.to_string()))?;
    match nodes > MAX_NODES {
        true => Err(QueryError::Sql(format!(
            "the plan of the statement has more than {MAX_NODES} nodes; use fewer subqueries"
        ))),
        false => Ok(()),
    }
}
