//! The parameters of a request's query.

use hesper_stack::StackError;

/// Parameters in the order they were given. Of one given several times the first counts.
#[derive(Clone, Debug, Default)]
pub struct Params(Vec<(String, String)>);

impl Params {
    /// Reads the query of a target.
    pub fn read(query: Option<&str>) -> Self {
        let pairs = form_urlencoded::parse(query.unwrap_or_default().as_bytes());
        Self(pairs.into_owned().collect())
    }

    /// The value of a parameter.
    pub fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(k, _)| k == name);
        found.map(|(_, v)| v.as_str())
    }

    /// All values of a parameter, in order.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        let found = self.0.iter().filter(move |(k, _)| k == name);
        found.map(|(_, v)| v.as_str())
    }

    /// True when a switch is on: its value is 1.
    pub fn is_on(&self, name: &str) -> bool {
        self.get(name) == Some("1")
    }

    /// The value of a parameter as a whole number.
    ///
    /// # Errors
    /// When it is none, worded as Java does.
    pub fn integer(&self, name: &str) -> Result<Option<i32>, StackError> {
        self.get(name)
            .map(|text| {
                text.parse()
                    .map_err(|_| StackError::NumberFormat(format!("For input string: \"{text}\"")))
            })
            .transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_a_name_counts() {
        let params = Params::read(Some("q=a,b&q=c&x=%2B+1&n=7&bad=7x&on=1"));
        assert_eq!(params.get("q"), Some("a,b"));
        assert_eq!(params.get("x"), Some("+ 1"));
        assert_eq!(params.get("y"), None);
        assert_eq!(params.integer("n"), Ok(Some(7)));
        assert_eq!(params.integer("m"), Ok(None));
        let error = params.integer("bad").expect_err("no number").to_string();
        assert_eq!(error, "NumberFormatException: For input string: \"7x\"");
        assert!(params.is_on("on") && !params.is_on("n"));
    }
}
