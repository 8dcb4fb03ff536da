//! Zig's optimisation modes, and which one a cargo profile means.

use crate::Error;

/// How Zig optimises, and which of its safety checks stay in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Optimize {
    /// No optimisation, all checks (`-O debug`).
    Debug,
    /// Optimised, all checks (`-O safe`): the default for optimised cargo profiles.
    Safe,
    /// Optimised for speed, **without** checks (`-O fast`): illegal behaviour is undefined. It is
    /// never chosen for you.
    Fast,
    /// Optimised for size, without checks (`-O small`).
    Small,
}

impl Optimize {
    /// The mode for a value of cargo's `OPT_LEVEL`: `0` is [`Debug`](Self::Debug), `1` to `3` are
    /// [`Safe`](Self::Safe), `s` and `z` are [`Small`](Self::Small).
    ///
    /// # Errors
    /// [`Error::UnknownOptLevel`] for any other value.
    pub fn from_opt_level(value: &str) -> Result<Self, Error> {
        match value {
            "0" => Ok(Self::Debug),
            "1" | "2" | "3" => Ok(Self::Safe),
            "s" | "z" => Ok(Self::Small),
            _ => Err(Error::UnknownOptLevel { value: value.to_owned() }),
        }
    }

    /// The argument of Zig's `-O`.
    pub(crate) fn flag(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Safe => "safe",
            Self::Fast => "fast",
            Self::Small => "small",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_opt_level_of_cargo() {
        let table = [
            ("0", Optimize::Debug),
            ("1", Optimize::Safe),
            ("2", Optimize::Safe),
            ("3", Optimize::Safe),
            ("s", Optimize::Small),
            ("z", Optimize::Small),
        ];
        for (level, mode) in table {
            assert_eq!(Optimize::from_opt_level(level).unwrap(), mode, "{level}");
        }
        for level in ["", "4", "fast", "S", " 3"] {
            let error = Optimize::from_opt_level(level).unwrap_err();
            assert!(matches!(error, Error::UnknownOptLevel { value } if value == level));
        }
    }
}
