//! The rules of a tenant for parameters, and their text form: `default:record=true`, `remove:logo`.

use std::{fmt, str::FromStr};

/// The effect of a rule on its parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RuleAction {
    /// Removes the parameter from the request of the application.
    Remove,
    /// Sets the parameter if the application did not.
    Default,
    /// Sets the parameter and replaces the value of the application.
    Override,
    /// Adds entries to the comma-separated list of the application, as for `disabledFeatures`.
    Merge,
    /// Lowers a number to a limit. An absent value, 0 and a text that is no number become the limit too, because
    /// BBB takes them for "no limit".
    Cap,
}

/// One rule for one parameter. Several rules for a parameter apply in the order of [`RuleAction`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParameterRule {
    /// Name of the parameter.
    pub parameter: String,
    /// Effect on the parameter.
    pub action: RuleAction,
    /// The value, list or limit; empty for [`RuleAction::Remove`].
    pub value: String,
}

/// The reason why a rule is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// The text does not have the form of a rule.
    #[error(
        "write it as ACTION:PARAMETER=VALUE, ACTION being default, override, merge or cap, or as remove:PARAMETER"
    )]
    Form,
    /// Usher needs its own value of the parameter to serve the call.
    #[error("`{0}` is not for rules")]
    Reserved(String),
    /// The name of the parameter is empty or too long.
    #[error("a parameter's name has 1 to 128 characters")]
    Name,
    /// The value exceeds the largest length.
    #[error("a rule's value has at most 4096 bytes")]
    Value,
    /// The limit is not a number above 0.
    #[error("a cap is a whole number above 0")]
    Cap,
}

/// The largest length of a parameter name, characters.
const NAME_MAX: usize = 128;
/// The largest length of the value of a rule, bytes.
const VALUE_MAX: usize = 4096;

impl RuleAction {
    const ALL: [Self; 5] = [Self::Remove, Self::Default, Self::Override, Self::Merge, Self::Cap];

    /// Returns the name of the action in the text form of a rule.
    pub fn name(self) -> &'static str {
        match self {
            Self::Remove => "remove",
            Self::Default => "default",
            Self::Override => "override",
            Self::Merge => "merge",
            Self::Cap => "cap",
        }
    }
}

impl ParameterRule {
    /// Returns a rule of valid parts.
    ///
    /// # Errors
    /// The parameter is reserved for Usher, or name or value is not valid for the action.
    pub fn new(action: RuleAction, parameter: &str, value: &str) -> Result<Self, RuleError> {
        let length = parameter.chars().count();
        if length == 0 || length > NAME_MAX {
            return Err(RuleError::Name);
        }
        let lower = parameter.to_ascii_lowercase();
        if matches!(parameter, "meetingID" | "checksum") || lower.starts_with("meta_usher-") {
            return Err(RuleError::Reserved(parameter.to_owned()));
        }
        match action {
            RuleAction::Remove if !value.is_empty() => return Err(RuleError::Form),
            RuleAction::Cap if !value.parse::<u64>().is_ok_and(|limit| limit > 0) => {
                return Err(RuleError::Cap);
            }
            _ if value.len() > VALUE_MAX => return Err(RuleError::Value),
            _ => {}
        }
        Ok(Self { parameter: parameter.to_owned(), action, value: value.to_owned() })
    }
}

impl FromStr for ParameterRule {
    type Err = RuleError;

    fn from_str(text: &str) -> Result<Self, RuleError> {
        let (action, rest) = text.split_once(':').ok_or(RuleError::Form)?;
        let action = RuleAction::ALL.into_iter().find(|known| known.name() == action);
        let action = action.ok_or(RuleError::Form)?;
        match rest.split_once('=') {
            Some((parameter, value)) if action != RuleAction::Remove => Self::new(action, parameter, value),
            None if action == RuleAction::Remove => Self::new(action, rest, ""),
            _ => Err(RuleError::Form),
        }
    }
}

impl fmt::Display for ParameterRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.action.name(), self.parameter)?;
        if self.action == RuleAction::Remove { Ok(()) } else { write!(f, "={}", self.value) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_read_back_as_they_are_written() {
        for text in [
            "default:record=true",
            "override:welcome=",
            "override:welcome=a=b:c",
            "remove:logo",
            "cap:duration=120",
            "merge:disabledFeatures=chat,polls",
            "default:meta_server-tag=gpu!",
        ] {
            assert_eq!(text.parse::<ParameterRule>().map(|rule| rule.to_string()).as_deref(), Ok(text));
        }
    }

    #[test]
    fn a_malformed_rule_is_refused_with_the_reason() {
        for (text, error) in [
            ("record=true", RuleError::Form),
            ("set:record=true", RuleError::Form),
            ("remove:logo=x", RuleError::Form),
            ("default:record", RuleError::Form),
            ("default:=x", RuleError::Name),
            ("cap:duration=0", RuleError::Cap),
            ("cap:duration=2h", RuleError::Cap),
            ("override:meetingID=x", RuleError::Reserved("meetingID".into())),
            ("remove:META_Usher-Tenant", RuleError::Reserved("META_Usher-Tenant".into())),
        ] {
            assert_eq!(text.parse::<ParameterRule>(), Err(error), "{text}");
        }
    }
}
