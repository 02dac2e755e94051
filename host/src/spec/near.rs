//! "Did you mean": the closest of the names that are known.

/// Advice for a name that is not known: the closest one, else all there are.
pub(crate) fn advice<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let known: Vec<&str> = known.into_iter().collect();
    did_you_mean(name, &known).or_else(|| (!known.is_empty()).then(|| format!("known: {}", list(&known))))
}

/// The closest name, where one is close.
pub(super) fn did_you_mean(name: &str, known: &[&str]) -> Option<String> {
    closest(name, known).map(|close| format!("did you mean `{close}`?"))
}

/// Names in backticks with commas between them.
pub(super) fn list(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

fn closest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    let distance = |other: &str| strsim::damerau_levenshtein(&name.to_lowercase(), &other.to_lowercase());
    let (distance, best) = known.iter().map(|other| (distance(other), *other)).min()?;
    let limit = (name.chars().count() / 3).max(1);
    (distance <= limit).then_some(best)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_found_and_a_different_word_is_not() {
        let known = ["concurrency", "config", "order"];
        for (name, expected) in [
            ("concurency", "did you mean `concurrency`?"),
            ("Order", "did you mean `order`?"),
            ("confgi", "did you mean `config`?"),
            ("threads", "known: `concurrency`, `config`, `order`"),
        ] {
            assert_eq!(advice(name, known).as_deref(), Some(expected), "{name}");
        }
        assert_eq!(advice("x", []), None);
    }
}
