//! A rule: an expression whose lines are signals, and what follows from them.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use hesper_model::{DataSource, Step, Tags, Timestamp};
use hesper_stack::expr::percentiles::PERCENTILE;
use hesper_stack::{
    DataAggregate, DataExpr, DataGroup, EvalContext, GraphOptions, TimeSeriesExpr, Vocabulary,
    data_result, evaluate, legend, lexer, parse_graph,
};
use serde::{Deserialize, Serialize};

use crate::error::AlertError;
use crate::links::GraphProgram;
use crate::phase::Delays;
use crate::warm_up;

/// How much an alert matters, which decides who hears of it.
///
/// There are three and no others: a misspelt severity that nothing routes is an alert that nobody gets. What else tells alerts apart
/// (teams, tiers, channels) belongs into the labels, which are free text.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Somebody has to act now, at night too. What a rule means that does not say: too loud is noticed, too quiet is not.
    #[default]
    Page,
    /// Somebody has to act within days.
    Ticket,
    /// Nobody has to act; it is good to know when looking for a cause.
    Info,
}

/// What it means when a group has no data: its line is NaN; or it is 0 or gone, and the series it is made from are gone for the group.
///
/// Those series count because the language's comparisons make 0 of NaN, and because a ratio whose numerator nobody reports (no failure
/// for a while) is gone although its service is well. A line that is true is on, whatever it is made from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NoData {
    /// The signal is off: an alert of a group that is gone is resolved.
    #[default]
    Ok,
    /// The signal is on, for each group that had data within a day; for the rule as a whole (a group without tags) when nothing is
    /// known of any group.
    Alert,
    /// Everything stays as it is. An alert of a group that never comes back fires until the rule changes.
    Keep,
}

/// What a rule is made from.
#[derive(Clone, Debug, PartialEq)]
pub struct RuleDefinition {
    /// The name, which no other rule has.
    pub name: String,
    /// A program of the stack language that leaves one expression.
    pub expr: String,
    /// How long a signal has to be on, and off.
    pub delays: Delays,
    /// How much it matters.
    pub severity: Severity,
    /// What missing data mean.
    pub no_data: NoData,
    /// Free text by which alerts are routed and grouped.
    pub labels: BTreeMap<String, String>,
    /// The address of a page that says what to do.
    pub runbook: Option<String>,
    /// What is wrong, in a sentence; `$key` and `$(key)` stand for tags of the line, as in legends, or for labels.
    pub summary: Option<String>,
}

impl RuleDefinition {
    /// A rule that pages at once, without anything else.
    pub fn new(name: impl Into<String>, expr: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            expr: expr.into(),
            delays: Delays::default(),
            severity: Severity::default(),
            no_data: NoData::default(),
            labels: BTreeMap::new(),
            runbook: None,
            summary: None,
        }
    }
}

/// What is wrong with a definition.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {what}")]
pub struct InvalidDefinition {
    /// The field, as it is written in files.
    pub field: &'static str,
    /// What is wrong with it.
    pub what: String,
}

/// What tells the lines of a rule apart, and so its alerts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Grouping {
    /// There is one line at most.
    One,
    /// These keys.
    Keys(Vec<String>),
    /// All tags: the expression uses series one by one (`:all`).
    AllTags,
}

impl Grouping {
    fn of(expr: &TimeSeriesExpr, inputs: &[DataExpr]) -> Self {
        let keys = expr.final_grouping();
        let one_by_one = |d: &DataExpr| d.group_by.is_none() && d.aggregate == DataAggregate::All;
        match keys.is_empty() {
            false => Self::Keys(keys.iter().map(|k| k.to_string()).collect()),
            true if inputs.iter().any(one_by_one) => Self::AllTags,
            true => Self::One,
        }
    }

    /// The group of a line with these tags. Where there is one line its tags do not count: they change with what has data.
    pub fn group(&self, tags: &Tags) -> Tags {
        match self {
            Self::One => Tags::empty(),
            Self::Keys(keys) => tags.filtered(|k| keys.iter().any(|key| key == k)),
            Self::AllTags => tags.clone(),
        }
    }
}

/// A rule, ready to be evaluated.
#[derive(Clone, Debug)]
pub struct Rule {
    definition: RuleDefinition,
    file: Option<String>,
    expr: Arc<TimeSeriesExpr>,
    legend: Option<String>,
    grouping: Grouping,
    inputs: Vec<TimeSeriesExpr>,
    offsets_millis: Vec<i64>,
    warm_up_steps: usize,
    graph: GraphProgram,
}

impl Rule {
    /// Checks a definition and reads its expression.
    ///
    /// # Errors
    /// When a part of it makes no sense.
    pub fn new(definition: RuleDefinition) -> Result<Self, InvalidDefinition> {
        Self::with_words(definition, Vocabulary::full())
    }

    /// The same for an expression in words of a vocabulary.
    ///
    /// # Errors
    /// When a part of it makes no sense.
    pub fn with_words(
        mut definition: RuleDefinition,
        vocabulary: &Vocabulary,
    ) -> Result<Self, InvalidDefinition> {
        let invalid = |field, what: &str| InvalidDefinition {
            field,
            what: what.to_owned(),
        };
        if definition.name.trim().is_empty() {
            return Err(invalid("name", "is empty; a rule is known by its name"));
        }
        if let Some(runbook) = &definition.runbook
            && !["http://", "https://"]
                .iter()
                .any(|s| runbook.starts_with(s))
        {
            // It becomes a link in pages, where other schemes could run as code.
            return Err(invalid("runbook", "has to begin with http:// or https://"));
        }
        if definition.labels.keys().any(|key| key.trim().is_empty()) {
            return Err(invalid("labels", "has an empty key"));
        }
        let style =
            read_expr(&definition.expr, vocabulary).map_err(|what| invalid("expr", &what))?;
        // Without comments and line breaks, as it is shown and compared.
        definition.expr = lexer::tokens(&definition.expr)
            .map_err(|e| invalid("expr", &e.to_string()))?
            .join(",");
        let data = style.expr.data_exprs();
        let now = data.iter().map(|d| d.offset_millis).min();
        let current = data.iter().filter(|d| Some(d.offset_millis) == now);
        Ok(Self {
            grouping: Grouping::of(&style.expr, &data),
            inputs: current.cloned().map(TimeSeriesExpr::Data).collect(),
            offsets_millis: data.iter().map(|d| d.offset_millis).collect(),
            warm_up_steps: warm_up::steps(&style.expr),
            graph: GraphProgram::new(&definition.expr, &style.expr, vocabulary),
            legend: style.legend().map(str::to_owned),
            expr: style.expr,
            file: None,
            definition,
        })
    }

    /// The same, known to come from a file.
    #[must_use]
    pub fn from_file(mut self, file: &str) -> Self {
        self.file = Some(file.to_owned());
        self
    }

    /// What it was made from.
    pub fn definition(&self) -> &RuleDefinition {
        &self.definition
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.definition.name
    }

    /// The name of the file it was read from, if it was.
    pub fn file(&self) -> Option<&str> {
        self.file.as_deref()
    }

    /// The expression.
    pub fn expr(&self) -> &TimeSeriesExpr {
        &self.expr
    }

    /// What tells its alerts apart.
    pub fn grouping(&self) -> &Grouping {
        &self.grouping
    }

    /// The data that tell whether a group has any: of those the expression uses, the ones shifted least.
    pub fn inputs(&self) -> &[TimeSeriesExpr] {
        &self.inputs
    }

    /// How many steps before T its operators have to have seen.
    pub fn warm_up_steps(&self) -> usize {
        self.warm_up_steps
    }

    pub(crate) fn graph(&self) -> &GraphProgram {
        &self.graph
    }

    /// Checks that a store with this step has datapoints at the times that the expression asks for. (Between two of them an offset
    /// shows the one before in graphs; a rule, which looks at one time, would never see it.)
    ///
    /// # Errors
    /// When an offset lies between two datapoints.
    pub fn check_step(&self, step: Step) -> Result<(), AlertError> {
        let fits = |offset: &i64| offset % step.millis() == 0;
        match self.offsets_millis.iter().find(|o| !fits(o)) {
            None => Ok(()),
            Some(offset) => Err(AlertError::Offset {
                rule: self.name().to_owned(),
                offset_millis: *offset,
                step,
            }),
        }
    }

    /// What is wrong with a line of these tags: the summary filled in; without one the expression's legend; else name and tags.
    pub fn summary(&self, tags: &Tags) -> String {
        let labels = &self.definition.labels;
        let value = |key: &str| {
            let label = || labels.get(key).map(String::as_str);
            tags.get(key)
                .or_else(label)
                .unwrap_or(key)
                .trim()
                .to_owned()
        };
        let template = self.definition.summary.as_ref().or(self.legend.as_ref());
        match template {
            Some(template) => legend::substitute(template.trim(), value),
            None if tags.is_empty() => self.name().to_owned(),
            None => format!("{} ({tags})", self.name()),
        }
    }
}

/// The one expression of a program, tried out.
fn read_expr(program: &str, vocabulary: &Vocabulary) -> Result<hesper_stack::StyleExpr, String> {
    let options = GraphOptions {
        simple_legends: false,
        vocabulary,
        ..GraphOptions::default()
    };
    let mut exprs = parse_graph(program, &options).map_err(|e| e.to_string())?;
    let style = match (exprs.pop(), exprs.len()) {
        (Some(style), 0) => style,
        (None, _) => return Err("leaves no expression; a rule has one".to_owned()),
        (Some(_), others) => {
            return Err(format!(
                "leaves {} expressions; a rule has one (join them with :and or :or, or write several rules)",
                others + 1
            ));
        }
    };
    if let Some(data) = style.expr.data_exprs().iter().find(|d| d.offset_millis < 0) {
        return Err(format!("looks into the future, by {data}"));
    }
    try_out(&style.expr).map_err(|e| e.to_string())?;
    Ok(style)
}

/// Evaluates an expression over one made-up datapoint each, to find what is only noticed then, such as a window that is too long.
fn try_out(expr: &TimeSeriesExpr) -> Result<(), hesper_stack::StackError> {
    let step = Step::from_secs(60);
    let ctx = EvalContext {
        start: Timestamp(0),
        end: Timestamp(step.millis()),
        step,
    };
    let data: HashMap<_, _> = expr
        .data_exprs()
        .into_iter()
        .map(|expr| {
            let keys = expr.group_by.iter().flatten();
            let value = |key: &str| if key == PERCENTILE { "T0000" } else { "any" };
            let group = DataGroup {
                tags: keys.map(|k| (k.clone(), value(k))).collect(),
                source: DataSource::Gauge,
                values: vec![1.0],
            };
            let found = data_result(&expr, vec![group], &ctx);
            (expr, found)
        })
        .collect();
    evaluate(expr, &ctx, &data).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(expr: &str) -> Rule {
        Rule::new(RuleDefinition::new("r", expr)).expect("a valid rule")
    }

    fn error(expr: &str) -> String {
        let invalid = Rule::new(RuleDefinition::new("r", expr)).expect_err("an invalid rule");
        invalid.to_string()
    }

    #[test]
    fn a_rule_has_one_expression() {
        assert!(error("").starts_with("expr: leaves no expression"));
        assert!(error("name,a,:eq,name,b,:eq").starts_with("expr: leaves 2 expressions"));
        assert!(error("name,a,:eq,:nope").contains("unknown word ':nope'"));
        assert!(error("foo").contains("expecting time series expr"));
        assert!(error("name,a,:eq,PT-5M,:offset,1,:gt").contains("looks into the future"));
    }

    #[test]
    fn what_is_noticed_when_evaluated_is_noticed_at_once() {
        let e = error("name,a,:eq,100000,:rolling-count,1,:gt");
        assert!(e.contains("window size must be between 1 and 86400"), "{e}");
        rule("name,a,:eq,(,app,),:by,(,50,99,),:percentiles,1,:gt");
        rule("name,a,:eq,:all,1,:gt");
        rule("name,a,:eq,(,percentile,),:by,1,:gt");
        rule("42");
    }

    #[test]
    fn other_parts_are_checked_too() {
        let invalid = |change: fn(&mut RuleDefinition)| {
            let mut definition = RuleDefinition::new("r", "1");
            change(&mut definition);
            Rule::new(definition).expect_err("invalid").to_string()
        };
        assert!(invalid(|d| d.name = "  ".to_owned()).starts_with("name: is empty"));
        assert!(invalid(|d| d.runbook = Some("javascript:1".into())).starts_with("runbook: "));
        let no_key = invalid(|d| _ = d.labels.insert(String::new(), "x".into()));
        assert_eq!(no_key, "labels: has an empty key");
    }

    #[test]
    fn lines_are_told_apart_by_what_the_expression_groups_by() {
        let tags = Tags::from_pairs([("name", "a"), ("app", "x"), ("zone", "1")]);
        let group = |expr: &str| rule(expr).grouping().group(&tags).to_string();
        assert_eq!(group("name,a,:eq,1,:gt"), "");
        assert_eq!(group("name,a,:eq,(,app,),:by,1,:gt"), "app=x");
        assert_eq!(
            group("name,a,:eq,(,app,zone,),:by,:max,(,zone,),:by"),
            "zone=1"
        );
        assert_eq!(group("name,a,:eq,:all,1,:gt"), tags.to_string());
    }

    #[test]
    fn the_data_shifted_least_tell_whether_there_are_any() {
        let rule = rule("name,a,:eq,name,a,:eq,5m,:offset,:div,name,b,:eq,:mul");
        let inputs: Vec<_> = rule.inputs().iter().map(ToString::to_string).collect();
        assert_eq!(inputs, ["name,a,:eq,:sum", "name,b,:eq,:sum"]);
    }

    #[test]
    fn offsets_have_to_fit_the_step() {
        let rule = rule("name,a,:eq,90s,:offset,1,:gt");
        assert!(rule.check_step(Step::from_secs(5)).is_ok());
        let e = rule.check_step(Step::from_secs(60)).expect_err("between");
        assert!(
            e.to_string()
                .contains("offset of 90s is no multiple of the store's step of 1m")
        );
    }

    #[test]
    fn a_summary_is_filled_in() {
        let mut definition = RuleDefinition::new("slow", "name,a,:eq,(,app,),:by,1,:gt");
        let tags = Tags::from_pairs([("app", "search")]);
        let summary = |d: &RuleDefinition| Rule::new(d.clone()).expect("valid").summary(&tags);
        assert_eq!(summary(&definition), "slow (app=search)");
        definition.expr.push_str(",$app is slow,:legend");
        assert_eq!(summary(&definition), "search is slow");
        definition.labels.insert("team".into(), "core".into());
        definition.summary = Some("$(app) of $(team): $zone\n".into());
        assert_eq!(summary(&definition), "search of core: zone");
    }

    #[test]
    fn expressions_are_kept_on_one_line() {
        let rule = rule("name,a,:eq, /* all of it */\n  1,\n  :gt\n");
        assert_eq!(rule.definition().expr, "name,a,:eq,1,:gt");
    }
}
