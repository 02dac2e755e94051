//! What is made of a secret, such as a header: made anew when the secret has changed, and not at each use.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use tracing::warn;

use super::Secret;

/// Makes a thing of a secret's value. An error holds nothing of the value.
type Make<T, E> = dyn Fn(&str) -> Result<T, E> + Send + Sync;

/// What is made of a secret. When nothing can be made of a new value, what was made of the last one stays, and a
/// warning says so once.
pub struct Made<T, E> {
    /// What the spec calls the secret.
    name: String,
    secret: Secret,
    make: Box<Make<T, E>>,
    last: Mutex<Last<T>>,
}

struct Last<T> {
    /// Of which it was tried last.
    value: Arc<str>,
    made: T,
}

impl<T: Clone, E: fmt::Display> Made<T, E> {
    /// Makes it for the first time.
    pub fn new(
        name: &str,
        secret: &Secret,
        make: impl Fn(&str) -> Result<T, E> + Send + Sync + 'static,
    ) -> Result<Self, E> {
        let value = secret.expose();
        let last = Mutex::new(Last { made: make(&value)?, value });
        Ok(Self { name: name.to_owned(), secret: secret.clone(), make: Box::new(make), last })
    }

    /// What is made of the secret as it is now.
    pub fn get(&self) -> T {
        let value = self.secret.expose();
        // Whoever panicked while it was locked left it whole.
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if value != last.value {
            match (self.make)(&value) {
                Ok(made) => last.made = made,
                Err(error) => {
                    warn!(secret_name = self.name, %error, "a secret's new value cannot be used; its last one is used on");
                }
            }
            last.value = value;
        }
        last.made.clone()
    }
}

impl<T, E> fmt::Debug for Made<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[made of secret {}]", self.name)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn it_is_made_anew_only_when_the_secret_has_changed_and_of_what_can_be_used() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("number");
        fs::write(&path, "1").unwrap();
        let secret = Secret::in_file("number", &path).unwrap();
        let tries = Arc::new(Mutex::new(Vec::new()));
        let seen = tries.clone();
        let made = Made::new("number", &secret, move |text| {
            seen.lock().unwrap().push(text.to_owned());
            text.parse::<u32>()
        });
        let made = made.unwrap();
        for (content, expected) in [("1", 1), ("22", 22), ("many", 22), ("many", 22), ("333", 333)] {
            if fs::read_to_string(&path).unwrap() != content {
                fs::write(&path, content).unwrap();
            }
            assert_eq!(made.get(), expected, "{content}");
        }
        assert_eq!(*tries.lock().unwrap(), ["1", "22", "many", "333"]);
    }

    #[test]
    fn it_does_not_print() {
        let made = Made::new("s", &Secret::new("SENTINEL"), |text| Ok::<_, fmt::Error>(text.to_owned())).unwrap();
        assert_eq!(format!("{made:?}"), "[made of secret s]");
    }
}
