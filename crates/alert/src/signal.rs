//! From the lines of a rule at a time to what they say about its groups.

use std::collections::BTreeMap;

use hesper_model::Tags;
use hesper_stack::expr::binary::is_true;
use hesper_stack::expr::percentiles::PERCENTILE;
use hesper_stack::{ResultSet, TimeSeriesExpr};

use crate::rule::{NoData, Rule};

/// What a line says, before the policy for missing data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Seen {
    /// There is no value, and no data to make one from.
    NoData,
    /// There are data, and the value is not true.
    Off,
    /// The value is true: neither NaN nor nearly zero.
    On,
}

/// A group at a time.
#[derive(Clone, Debug, PartialEq)]
pub struct Observation {
    /// The tags of the line, for texts.
    pub tags: Tags,
    /// The value, unless it is NaN or infinite.
    pub value: Option<f64>,
    /// What it says.
    pub seen: Seen,
}

/// What a rule says at a time.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    /// The groups that have a line.
    pub groups: BTreeMap<Tags, Observation>,
    inputs: Inputs,
}

/// The groups for which the data that a rule is made from have a value.
#[derive(Clone, Debug, Default)]
enum Inputs {
    /// Nobody looked, or there is nothing to look at.
    #[default]
    Unknown,
    /// The tags of what has a value.
    Present(Vec<Tags>),
}

impl Answer {
    /// Reads the last datapoint of each line. `inputs` are the results of [`Rule::inputs`], or nothing if they were not asked for.
    pub fn new(rule: &Rule, result: &ResultSet, inputs: &[ResultSet]) -> Self {
        let mut answer = Self {
            groups: BTreeMap::new(),
            inputs: Inputs::of(rule, inputs),
        };
        for series in &result.series {
            let mut tags = series.tags.clone();
            if let Some(percentile) = tags.get(PERCENTILE) {
                // It is padded for legends.
                let percentile = percentile.trim().to_owned();
                tags.insert(PERCENTILE, percentile);
            }
            let value = series.values.last().copied().unwrap_or(f64::NAN);
            let group = rule.grouping().group(&tags);
            let seen = if is_true(value) {
                Seen::On
            } else if value.is_nan() || answer.lacks_data(&group) {
                Seen::NoData
            } else {
                Seen::Off
            };
            let observation = Observation {
                tags,
                value: Some(value).filter(|v| v.is_finite()),
                seen,
            };
            match answer.groups.get_mut(&group) {
                // Several lines of a group speak as one: it is on when one is.
                Some(known) if known.seen >= observation.seen => {}
                Some(known) => *known = observation,
                None => _ = answer.groups.insert(group, observation),
            }
        }
        answer
    }

    /// What is known of a group, with or without a line.
    pub fn seen(&self, group: &Tags) -> Seen {
        match self.groups.get(group) {
            Some(observation) => observation.seen,
            None => match self.inputs {
                Inputs::Present(_) if !self.lacks_data(group) => Seen::Off,
                _ => Seen::NoData,
            },
        }
    }

    /// True when any group has data.
    pub fn has_data(&self) -> bool {
        self.groups.values().any(|o| o.seen != Seen::NoData) || self.inputs.any()
    }

    /// True when it is known that none of the inputs has a value for a group.
    fn lacks_data(&self, group: &Tags) -> bool {
        match &self.inputs {
            Inputs::Unknown => false,
            Inputs::Present(present) => !present.iter().any(|input| agree(input, group)),
        }
    }
}

impl Inputs {
    fn of(rule: &Rule, results: &[ResultSet]) -> Self {
        if results.is_empty() {
            return Self::Unknown;
        }
        let mut present = Vec::new();
        for (input, result) in rule.inputs().iter().zip(results) {
            let TimeSeriesExpr::Data(data) = input else {
                continue;
            };
            let keys = data.group_by.as_deref().unwrap_or_default();
            let is_key = |k: &str| k != PERCENTILE && keys.iter().any(|key| **key == *k);
            let with_value = |values: &[f64]| values.last().is_some_and(|v| !v.is_nan());
            for series in result.series.iter().filter(|s| with_value(&s.values)) {
                present.push(series.tags.filtered(is_key));
            }
        }
        present.sort_unstable();
        present.dedup();
        Self::Present(present)
    }

    fn any(&self) -> bool {
        matches!(self, Self::Present(present) if !present.is_empty())
    }
}

/// True when no key has different values on both sides.
fn agree(a: &Tags, b: &Tags) -> bool {
    a.iter()
        .all(|(k, v)| b.get(k).is_none_or(|other| other == v))
}

/// True when a rule's answer depends on whether its inputs have data.
pub(crate) fn needs_inputs(rule: &Rule) -> bool {
    rule.definition().no_data != NoData::Ok
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rule::RuleDefinition;
    use hesper_model::DataSource;
    use hesper_stack::TimeSeries;

    fn rule(expr: &str) -> Rule {
        let mut definition = RuleDefinition::new("r", expr);
        definition.no_data = NoData::Keep;
        Rule::new(definition).expect("a valid rule")
    }

    /// The tags of a line, and its values.
    type Line<'a> = (&'a [(&'a str, &'a str)], &'a [f64]);

    fn result(series: &[Line<'_>]) -> ResultSet {
        let series = series.iter().map(|(tags, values)| {
            let tags = Tags::from_pairs(tags.iter().copied());
            TimeSeries::new(tags, DataSource::Gauge, values.to_vec())
        });
        ResultSet {
            series: series.collect(),
            messages: Vec::new(),
        }
    }

    fn tags(pairs: &[(&str, &str)]) -> Tags {
        Tags::from_pairs(pairs.iter().copied())
    }

    const BY_APP: &str = "name,a,:eq,(,app,),:by,5,:gt";

    #[test]
    fn the_last_value_counts() {
        let lines = result(&[
            (&[("app", "on"), ("name", "a")], &[0.0, 1.0]),
            (&[("app", "off")], &[1.0, 0.0]),
            (&[("app", "tiny")], &[1e-13]),
            (&[("app", "nan")], &[1.0, f64::NAN]),
            (&[("app", "infinite")], &[f64::INFINITY]),
        ]);
        let answer = Answer::new(&rule(BY_APP), &lines, &[]);
        let seen = |app: &str| answer.seen(&tags(&[("app", app)]));
        assert_eq!(seen("on"), Seen::On);
        assert_eq!((seen("off"), seen("tiny")), (Seen::Off, Seen::Off));
        assert_eq!((seen("nan"), seen("gone")), (Seen::NoData, Seen::NoData));
        assert_eq!(seen("infinite"), Seen::On);
        assert_eq!(answer.groups[&tags(&[("app", "infinite")])].value, None);
        assert_eq!(
            answer.groups[&tags(&[("app", "on")])].tags.name(),
            Some("a")
        );
    }

    #[test]
    fn a_comparison_does_not_hide_missing_data() {
        let lines = result(&[(&[("name", "NO_DATA")], &[0.0])]);
        let nothing = result(&[(&[("name", "NO_DATA")], &[f64::NAN])]);
        let something = result(&[(&[("name", "a")], &[3.0])]);
        let rule = rule("name,a,:eq,5,:gt");
        let seen = |inputs: &[ResultSet]| Answer::new(&rule, &lines, inputs).seen(&Tags::empty());
        assert_eq!(seen(&[nothing]), Seen::NoData);
        assert_eq!(seen(&[something]), Seen::Off);
        assert_eq!(seen(&[]), Seen::Off);
    }

    #[test]
    fn what_is_true_without_data_is_on() {
        let lines = result(&[(&[("name", "NO_DATA")], &[1.0])]);
        let nothing = result(&[(&[("name", "NO_DATA")], &[f64::NAN])]);
        let answer = Answer::new(&rule("1,name,a,:eq,0,:gt,:sub"), &lines, &[nothing]);
        assert_eq!(answer.seen(&Tags::empty()), Seen::On);
        assert!(answer.has_data());
    }

    #[test]
    fn a_group_without_a_line_is_off_while_an_input_has_data_for_it() {
        let rule = rule("name,failed,:eq,(,app,),:by,name,all,:eq,(,app,zone,),:by,:div,5,:gt");
        let failed = result(&[]);
        let all = result(&[
            (&[("app", "x"), ("zone", "1"), ("name", "all")], &[1.0]),
            (&[("app", "y"), ("zone", "1"), ("name", "all")], &[f64::NAN]),
        ]);
        let answer = Answer::new(&rule, &result(&[]), &[failed, all]);
        let seen = |app: &str, zone: &str| answer.seen(&tags(&[("app", app), ("zone", zone)]));
        assert_eq!(seen("x", "1"), Seen::Off);
        assert_eq!(seen("x", "2"), Seen::NoData);
        assert_eq!(seen("y", "1"), Seen::NoData);
        assert!(answer.has_data());
    }

    #[test]
    fn percentiles_are_not_padded() {
        let rule = rule("name,a,:eq,(,app,),:by,(,99,),:percentiles,1,:gt");
        let lines = result(&[(&[("app", "x"), ("percentile", " 99.0")], &[1.0])]);
        let counts = result(&[(&[("app", "x"), ("percentile", "T0042")], &[2.0])]);
        let answer = Answer::new(&rule, &lines, &[counts]);
        let group = tags(&[("app", "x"), ("percentile", "99.0")]);
        assert_eq!(answer.groups.keys().collect::<Vec<_>>(), [&group]);
        let gone = tags(&[("app", "z"), ("percentile", "99.0")]);
        assert_eq!(
            (answer.seen(&group), answer.seen(&gone)),
            (Seen::On, Seen::NoData)
        );
    }

    #[test]
    fn lines_of_one_group_speak_as_one() {
        let lines = result(&[
            (&[("app", "x")], &[0.0]),
            (&[("app", "x")], &[7.0]),
            (&[("app", "x")], &[f64::NAN]),
        ]);
        let answer = Answer::new(&rule(BY_APP), &lines, &[]);
        assert_eq!(answer.groups[&tags(&[("app", "x")])].value, Some(7.0));
    }
}
