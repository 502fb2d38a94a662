//! The rules of a directory: all of them, or none.

use std::collections::BTreeMap;
use std::path::Path;

use hesper_stack::Vocabulary;

use crate::error::{AlertError, RuleFault};
use crate::rule::Rule;
use crate::rule_file::{self, ReadRule};

/// Rules with names that are all different, in the order of files and in them.
#[derive(Clone, Debug, Default)]
pub struct RuleSet {
    rules: Vec<Rule>,
}

impl RuleSet {
    /// Reads the files of a directory whose names end in `.yaml` or `.yml`, in the order of their names; other files do not count, nor do
    /// directories below.
    ///
    /// # Errors
    /// When something cannot be read, or a rule is wrong: then all that is wrong is told, and no rule is loaded.
    pub fn load(directory: &Path, vocabulary: &Vocabulary) -> Result<Self, AlertError> {
        let failed = |path: &Path, source| AlertError::ReadRules {
            path: path.to_owned(),
            source,
        };
        let mut files: BTreeMap<String, String> = BTreeMap::new();
        let entries = std::fs::read_dir(directory).map_err(|e| failed(directory, e))?;
        for entry in entries {
            let path = entry.map_err(|e| failed(directory, e))?.path();
            let extension = path.extension().and_then(|e| e.to_str());
            let name = path.file_name().and_then(|n| n.to_str());
            if let (Some("yaml" | "yml"), Some(name), true) = (extension, name, path.is_file()) {
                let text = std::fs::read_to_string(&path).map_err(|e| failed(&path, e))?;
                files.insert(name.to_owned(), text);
            }
        }
        let files = files.iter().map(|(name, text)| (&**name, &**text));
        Self::read_with_words(files, vocabulary)
    }

    /// Reads files given by name and text.
    ///
    /// # Errors
    /// When a rule is wrong.
    pub fn read<'a>(
        files: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, AlertError> {
        Self::read_with_words(files, Vocabulary::full())
    }

    /// Reads files given by name and text, with expressions in words of a vocabulary.
    ///
    /// # Errors
    /// When a rule is wrong.
    pub fn read_with_words<'a>(
        files: impl IntoIterator<Item = (&'a str, &'a str)>,
        vocabulary: &Vocabulary,
    ) -> Result<Self, AlertError> {
        let mut rules: Vec<(String, ReadRule)> = Vec::new();
        let mut faults = Vec::new();
        for (file, text) in files {
            match rule_file::read(file, text, vocabulary) {
                Ok(found) => rules.extend(found.into_iter().map(|rule| (file.to_owned(), rule))),
                Err(found) => faults.extend(found),
            }
        }
        let mut first: BTreeMap<String, (String, u64)> = BTreeMap::new();
        for (file, ReadRule { rule, place }) in &rules {
            if let Some((other, line)) = first.get(rule.name()) {
                faults.push(RuleFault {
                    file: file.clone(),
                    place: Some(*place),
                    rule: Some(rule.name().to_owned()),
                    what: format!(
                        "{other}:{line} has a rule of this name already; name one of them otherwise"
                    ),
                });
            } else {
                first.insert(rule.name().to_owned(), (file.clone(), place.0));
            }
        }
        if !faults.is_empty() {
            return Err(AlertError::Rules(faults));
        }
        Ok(Self {
            rules: rules.into_iter().map(|(_, read)| read.rule).collect(),
        })
    }

    /// The rules.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// The rules, to be kept.
    pub fn into_rules(self) -> Vec<Rule> {
        self.rules
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_over_all_files() {
        let one = "rules:\n  - name: a\n    expr: 1\n";
        let two = "rules:\n  - name: b\n    expr: 1\n  - name: a\n    expr: 2\n";
        let error = RuleSet::read([("one.yaml", one), ("two.yaml", two)]).expect_err("doubled");
        assert_eq!(
            error.to_string(),
            "no alert rule is loaded, because of:\n  \
             two.yaml:4:11: rule `a`: one.yaml:2 has a rule of this name already; name one of them otherwise"
        );
        let set = RuleSet::read([("one.yaml", one)]).expect("valid");
        assert_eq!(set.rules()[0].name(), "a");
    }

    #[test]
    fn a_directory_is_loaded_as_a_whole() {
        let directory = tempfile::tempdir().expect("a directory");
        let write = |name: &str, text: &str| {
            std::fs::write(directory.path().join(name), text).expect("written");
        };
        write("b.yml", "rules:\n  - name: b\n    expr: 1\n");
        write("a.yaml", "rules:\n  - name: a\n    expr: 1\n");
        write("README.md", "no rules");
        let set = RuleSet::load(directory.path(), Vocabulary::full()).expect("valid");
        let names: Vec<_> = set.rules().iter().map(Rule::name).collect();
        assert_eq!(names, ["a", "b"]);

        write("c.yaml", "rules:\n  - name: c\n    expr: name\n");
        write("d.yaml", "rules:\n  - nam: d\n");
        let text = RuleSet::load(directory.path(), Vocabulary::full())
            .expect_err("wrong")
            .to_string();
        assert!(text.contains("\n  c.yaml:3:11: rule `c`: expr: "), "{text}");
        assert!(
            text.contains("\n  d.yaml:2:5: unknown field `nam`"),
            "{text}"
        );
    }

    #[test]
    fn rules_may_use_words_of_a_configuration() {
        let words = "words:\n  - name: errors\n    body: ipc.result,failure,:eq,:cq\n";
        let words: hesper_stack::CustomWords = serde_saphyr::from_str(words).expect("words");
        let vocabulary = Vocabulary::with_custom_words(&words).expect("valid words");
        let text = "rules:\n  - name: a\n    expr: name,calls,:eq,:sum,:errors,5,:gt\n";
        let set = RuleSet::read_with_words([("a.yaml", text)], &vocabulary).expect("valid");
        assert!(
            set.rules()[0]
                .expr()
                .to_string()
                .contains("ipc.result,failure")
        );
        let unknown = RuleSet::read([("a.yaml", text)]).expect_err("no such word");
        assert!(unknown.to_string().contains("unknown word ':errors'"));
    }

    #[test]
    fn a_directory_that_is_not_there_is_named() {
        let error = RuleSet::load(Path::new("/nowhere/rules"), Vocabulary::full())
            .expect_err("nothing there");
        assert!(error.to_string().contains("/nowhere/rules"), "{error}");
    }
}
