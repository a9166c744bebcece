//! The error catalogue: what BBB refuses, under which key and in which words.

use std::borrow::Cow;

use super::XmlDocument;

/// A failed answer. Clients go by the key; the words are for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The `messageKey`.
    pub key: &'static str,
    /// The `message`.
    pub message: Cow<'static, str>,
}

impl Refusal {
    /// Names a refusal.
    pub fn new(key: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self { key, message: message.into() }
    }

    const fn fixed(key: &'static str, message: &'static str) -> Self {
        Self { key, message: Cow::Borrowed(message) }
    }

    /// Returns the answer as XML.
    pub fn to_xml(&self) -> String {
        let mut xml = XmlDocument::new();
        xml.element("response", |xml| {
            xml.leaf("returncode", "FAILED").leaf("messageKey", self.key).leaf("message", &self.message);
        });
        xml.finish()
    }

    /// Returns the answer in the older shape, which some refusals of `create` still have.
    pub fn to_errors_xml(&self) -> String {
        let mut xml = XmlDocument::new();
        xml.element("response", |xml| {
            xml.leaf("returncode", "FAILED").element("errors", |xml| {
                xml.element("error", |xml| {
                    xml.leaf("key", self.key).leaf("message", &self.message);
                });
            });
        });
        xml.finish()
    }

    /// Returns the answer as the JSON of the text-track calls.
    pub fn to_json(&self) -> String {
        // Written out, so that the order is BBB's whatever map a JSON library is built with.
        let text = |text: &str| serde_json::Value::from(text).to_string();
        format!(
            r#"{{"response":{{"returncode":"FAILED","messageKey":{},"message":{}}}}}"#,
            text(self.key),
            text(&self.message)
        )
    }

    /// Returns the answer as the JSON of `putRecordingTextTrack`, which BBB prints in lines.
    pub fn to_json_lines(&self) -> String {
        let text = |text: &str| serde_json::Value::from(text).to_string();
        format!(
            "{{\n    \"response\": {{\n        \"returncode\": \"FAILED\",\n        \"messageKey\": {},\n        \
             \"message\": {}\n    }}\n}}",
            text(self.key),
            text(&self.message)
        )
    }

    /// Returns the refusal of a list with more entries than are read.
    pub fn too_long_a_list(name: &str) -> Self {
        Self::validation(format!("Param '{name}' lists too many values"))
    }

    /// Returns the refusal of a parameter.
    pub fn validation(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new("validationError", message)
    }
}

macro_rules! catalogue {
    ($($(#[$doc:meta])* $name:ident = $key:literal, $message:literal;)*) => {
        impl Refusal {
            $($(#[$doc])* pub const $name: Self = Self::fixed($key, $message);)*

            /// Every refusal of the catalogue.
            pub const CATALOGUE: &'static [Self] = &[$(Self::$name),*];
        }
    };
}

catalogue! {
    /// The checksum is not that of the request.
    CHECKSUM_MISMATCH = "checksumError", "Checksums do not match";
    /// No checksum.
    CHECKSUM_MISSING = "checksumError", "You must provide the checksum";
    /// Bad or no checksum on a recording call.
    CHECKSUM_OF_RECORDING = "checksumError", "You did not pass the checksum security check";
    /// Bad or no checksum on a webhook call.
    CHECKSUM_OF_HOOK = "checksumError", "You did not pass the checksum security check.";
    /// No checksum on `putRecordingTextTrack`.
    MISSING_PARAM_CHECKSUM = "paramError", "Missing param checksum.";
    /// A body of a kind the call does not take.
    UNSUPPORTED_CONTENT_TYPE =
        "unsupportedContentType", "POST request Content-Type is missing or unsupported";
    /// An unknown call, or a known one by a wrong method.
    UNSUPPORTED_REQUEST = "unsupportedRequest", "This request is not supported.";
    /// No `meetingID`.
    MISSING_MEETING_ID = "missingParamMeetingID", "You must provide a meeting ID";
    /// `meetingID` of a wrong length.
    MEETING_ID_LENGTH = "validationError", "Meeting ID must be between 2 and 256 characters";
    /// `meetingID` with a comma.
    MEETING_ID_COMMA = "validationError", "Meeting ID cannot contain ','";
    /// `meetingID` with white space around it, or given twice.
    MEETING_ID_INVALID = "validationError", "Invalid meeting ID";
    /// No `name`.
    MISSING_MEETING_NAME = "validationError", "You must provide a meeting name";
    /// `name` of a wrong length.
    MEETING_NAME_LENGTH = "validationError", "Meeting name must be between 2 and 256 characters";
    /// `voiceBridge` is no number.
    VOICE_BRIDGE_NUMBER = "validationError", "Voice bridge must be an integral value";
    /// `record` is no boolean.
    RECORD_BOOLEAN = "validationError", "Record must be a boolean value (true or false)";
    /// `guest` is no boolean.
    GUEST_BOOLEAN = "validationError", "Guest must be a boolean value (true or false)";
    /// `auth` is no boolean.
    AUTH_BOOLEAN = "validationError", "Auth must be a boolean value (true or false)";
    /// `presentationUploadExternalUrl` is no URL.
    PRESENTATION_URL =
        "validationError", "Param 'presentationUploadExternalUrl' is not a valid URL";
    /// `sendChatMessage` without a message.
    MISSING_CHAT_MESSAGE = "validationError", "You must provide the param message";
    /// A chat message of a wrong length.
    CHAT_MESSAGE_LENGTH = "validationError", "Param message must be between 1 and 500 characters";
    /// A chat user name that is too long.
    CHAT_USER_NAME_LENGTH = "validationError", "Param userName must not exceed 255 characters";
    /// No `fullName`.
    MISSING_FULL_NAME = "missingParamFullName", "You must provide your name";
    /// A password of a wrong length.
    INVALID_PASSWORD = "invalidPassword", "Invalid password";
    /// BBB 2.4: a wrong moderator password for `end`.
    WRONG_MODERATOR_PASSWORD = "invalidPassword", "The supplied moderator password is incorrect";
    /// BBB 2.4: a join password that is neither.
    NEITHER_PASSWORD =
        "invalidPassword", "The provided password is neither a moderator or attendee password";
    /// Another meeting with that id runs.
    ID_NOT_UNIQUE =
        "idNotUnique",
        "A meeting already exists with that meeting ID. Please use a different meeting ID.";
    /// The voice bridge is taken; told in the `errors` shape.
    VOICE_BRIDGE_TAKEN = "nonUniqueVoiceBridge", "The selected voice bridge is already in use.";
    /// A breakout room without its parent's id.
    PARENT_ID_MISSING =
        "parentMeetingIDMissing", "No parent meeting ID was provided for the breakout room";
    /// A breakout room of an unknown parent.
    PARENT_UNKNOWN = "parentMeetingDoesNotExist", "No parent meeting exists for the breakout room";
    /// A join to an unknown meeting.
    INVALID_MEETING = "invalidMeetingIdentifier", "A meeting with that ID does not exist";
    /// Any other call about an unknown meeting.
    NOT_FOUND = "notFound", "A meeting with that ID does not exist";
    /// Unknown recordings.
    RECORDINGS_NOT_FOUND = "notFound", "We could not find recordings";
    /// A join to a meeting that was ended.
    FORCIBLY_ENDED =
        "meetingForciblyEnded", "You can not join a meeting that has already been forcibly ended";
    /// A join with another meeting's `createTime`.
    CREATE_TIME_MISMATCH =
        "mismatchCreateTimeParam",
        "The createTime parameter submitted mismatches with the current meeting.";
    /// A join to a full meeting.
    FULL =
        "maxParticipantsReached",
        "The number of participants allowed for this meeting has been reached.";
    /// A join of a guest where none is let in.
    GUEST_DENIED =
        "guestDeniedAccess",
        "You have been denied access to this meeting based on the meeting's guest policy";
    /// A join with a password that is neither.
    JOIN_PASSWORD = "Params required", "You must enter a valid password";
    /// A join without a role or password (sic).
    JOIN_ROLE =
        "Params required",
        "You must either send the valid role of the user, or the password, sould the meeting has one.";
    /// A chat message to a meeting that is not running.
    CHAT_MEETING_NOT_FOUND = "meetingNotFound", "Meeting not found";
    /// A recording call without ids.
    MISSING_RECORD_ID = "missingParamRecordID", "You must specify a recordID.";
    /// `publishRecordings` without `publish`.
    MISSING_PUBLISH = "missingParamPublish", "You must specify a publish value true or false.";
    /// `recordID` given twice.
    RECORD_ID_INVALID = "validationError", "Invalid recording ID";
    /// `hooks/create` without a `callbackURL`.
    MISSING_CALLBACK_URL =
        "missingParamCallbackURL", "You must specify a callbackURL in the parameters.";
    /// `hooks/destroy` without a `hookID`.
    MISSING_HOOK_ID = "missingParamHookID", "You must specify a hookID in the parameters.";
    /// `hooks/destroy` of an unknown hook.
    HOOK_NOT_FOUND = "destroyMissingHook", "The hook informed was not found.";
    /// A hook could not be created.
    HOOK_NOT_CREATED =
        "createHookError", "An error happened while creating your hook. Check the logs.";
    /// Hooks could not be listed.
    HOOKS_NOT_LISTED =
        "listHookError", "An error happened while listing registered hooks. Check the logs.";
    /// A hook could not be removed.
    HOOK_NOT_REMOVED =
        "destroyHookError", "An error happened while removing your hook. Check the logs.";
    /// A callback address that is none.
    CALLBACK_URL_INVALID = "validationError", "Param 'callbackURL' is not a valid URL";
    /// A parameter of a webhook call given twice.
    HOOK_PARAM_REPEATED = "validationError", "Each param of a webhook may be given once";
    /// More parameters than are read.
    TOO_MANY_PARAMETERS = "validationError", "Request has too many parameters";
    /// No server could be asked; the caller may try again.
    SERVER_UNAVAILABLE =
        "serverUnavailable", "The server is unavailable at the moment. Please try again.";
    /// Something is wrong here, not with the request.
    INTERNAL_ERROR = "internalError", "An internal error occurred. Please try again.";
    /// The tenant has as many meetings as it may have.
    TOO_MANY_MEETINGS =
        "maxConcurrent", "The number of meetings allowed at the same time has been reached.";
    /// No server has a tag that was required.
    TAG_UNAVAILABLE = "serverTagUnavailable", "There is no available server with the requested tag.";
}
