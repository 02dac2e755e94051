//! "Did you mean": the closest of the names that are known.

/// Comparing takes time and memory as the product of both lengths, so that neither long names nor very many are looked
/// at.
const LONGEST_COMPARED: usize = 64;
const MOST_COMPARED: usize = 1000;
/// A list that is longer helps nobody.
const MOST_LISTED: usize = 30;

/// Advice for a name that is not known: the closest one, else all there are.
pub(crate) fn advice<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let known: Vec<&str> = known.into_iter().collect();
    did_you_mean(name, &known).or_else(|| (!known.is_empty()).then(|| format!("known: {}", list(&known))))
}

/// The closest name, where one is close.
pub(super) fn did_you_mean(name: &str, known: &[&str]) -> Option<String> {
    closest(name, known).map(|close| format!("did you mean `{close}`?"))
}

/// Names in backticks with commas between them; of very many the first ones.
pub(super) fn list(names: &[&str]) -> String {
    let listed = names.iter().take(MOST_LISTED).map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(MOST_LISTED) {
        0 => listed,
        more => format!("{listed} and {more} more"),
    }
}

fn closest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    let fits = |name: &str| name.len() <= LONGEST_COMPARED;
    if !fits(name) {
        return None;
    }
    let distance = |other: &str| strsim::damerau_levenshtein(&name.to_lowercase(), &other.to_lowercase());
    let others = known.iter().filter(|other| fits(other)).take(MOST_COMPARED);
    let (distance, best) = others.map(|other| (distance(other), *other)).min()?;
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

    #[test]
    fn neither_long_names_nor_very_many_are_compared_or_listed() {
        let long = "x".repeat(1 << 20);
        let almost = format!("{}y", &long[1..]);
        assert_eq!(did_you_mean(&long, &[&almost]), None);
        let many: Vec<String> = (0..20_000).map(|index| format!("name{index}")).collect();
        let said = advice("other", many.iter().map(String::as_str)).unwrap();
        assert!(said.starts_with("known: `name0`, `name1`, ") && said.ends_with("`name29` and 19970 more"), "{said}");
        assert_eq!(advice("nmae3", many.iter().map(String::as_str)).as_deref(), Some("did you mean `name3`?"));
    }
}
