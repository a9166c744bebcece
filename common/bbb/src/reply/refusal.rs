//! The catalogue of refusals: the keys and texts with which BBB refuses a request (wire-contract 8).

use std::borrow::Cow;

use super::xml::XmlDocument;

/// A failed answer. Clients compare the key; the text is for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Value of `messageKey`, compared by clients.
    pub key: &'static str,
    /// Value of `message`, for people.
    pub message: Cow<'static, str>,
}

impl Refusal {
    /// Returns a refusal of a key and a text.
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

    /// Returns the answer in the older form with `errors`, which some refusals of `create` still have.
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
        // Written as text, because the order of keys must be that of BBB and a JSON map may have another order.
        let text = |text: &str| serde_json::Value::from(text).to_string();
        format!(
            r#"{{"response":{{"returncode":"FAILED","messageKey":{},"message":{}}}}}"#,
            text(self.key),
            text(&self.message)
        )
    }

    /// Returns the answer as the JSON of `putRecordingTextTrack`, which BBB prints on several lines.
    pub fn to_json_lines(&self) -> String {
        let text = |text: &str| serde_json::Value::from(text).to_string();
        format!(
            "{{\n    \"response\": {{\n        \"returncode\": \"FAILED\",\n        \"messageKey\": {},\n        \
             \"message\": {}\n    }}\n}}",
            text(self.key),
            text(&self.message)
        )
    }

    /// Returns the refusal of a list with more entries than the limit.
    pub fn too_long_a_list(name: &str) -> Self {
        Self::validation(format!("Param '{name}' lists too many values"))
    }

    /// Returns the refusal of the value of a parameter.
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
    /// The request has no checksum.
    CHECKSUM_MISSING = "checksumError", "You must provide the checksum";
    /// A recording call has a wrong checksum or none.
    CHECKSUM_OF_RECORDING = "checksumError", "You did not pass the checksum security check";
    /// A webhook call has a wrong checksum or none.
    CHECKSUM_OF_HOOK = "checksumError", "You did not pass the checksum security check.";
    /// A `putRecordingTextTrack` has no checksum.
    MISSING_PARAM_CHECKSUM = "paramError", "Missing param checksum.";
    /// The body has a content type that the call does not accept.
    UNSUPPORTED_CONTENT_TYPE =
        "unsupportedContentType", "POST request Content-Type is missing or unsupported";
    /// The call is unknown, or its method is wrong.
    UNSUPPORTED_REQUEST = "unsupportedRequest", "This request is not supported.";
    /// The request has no `meetingID`.
    MISSING_MEETING_ID = "missingParamMeetingID", "You must provide a meeting ID";
    /// The `meetingID` has a wrong length.
    MEETING_ID_LENGTH = "validationError", "Meeting ID must be between 2 and 256 characters";
    /// The `meetingID` has a comma.
    MEETING_ID_COMMA = "validationError", "Meeting ID cannot contain ','";
    /// The `meetingID` has white space around it or is given twice.
    MEETING_ID_INVALID = "validationError", "Invalid meeting ID";
    /// The request has no `name`.
    MISSING_MEETING_NAME = "validationError", "You must provide a meeting name";
    /// The `name` has a wrong length.
    MEETING_NAME_LENGTH = "validationError", "Meeting name must be between 2 and 256 characters";
    /// The `voiceBridge` is not a number.
    VOICE_BRIDGE_NUMBER = "validationError", "Voice bridge must be an integral value";
    /// The `record` is not a boolean.
    RECORD_BOOLEAN = "validationError", "Record must be a boolean value (true or false)";
    /// The `guest` is not a boolean.
    GUEST_BOOLEAN = "validationError", "Guest must be a boolean value (true or false)";
    /// The `auth` is not a boolean.
    AUTH_BOOLEAN = "validationError", "Auth must be a boolean value (true or false)";
    /// The `presentationUploadExternalUrl` is not a URL.
    PRESENTATION_URL =
        "validationError", "Param 'presentationUploadExternalUrl' is not a valid URL";
    /// The `sharedNotesEditor` is none that the server has (BBB 3.0).
    INVALID_SHARED_NOTES_EDITOR =
        "invalidSharedNotesEditor", "The shared notes editor must be either blockNote or etherpad";
    /// A `sendChatMessage` has no message.
    MISSING_CHAT_MESSAGE = "validationError", "You must provide the param message";
    /// A chat message has a wrong length.
    CHAT_MESSAGE_LENGTH = "validationError", "Param message must be between 1 and 500 characters";
    /// The user name of a chat message is too long.
    CHAT_USER_NAME_LENGTH = "validationError", "Param userName must not exceed 255 characters";
    /// The request has no `fullName`.
    MISSING_FULL_NAME = "missingParamFullName", "You must provide your name";
    /// A password has a wrong length.
    INVALID_PASSWORD = "invalidPassword", "Invalid password";
    /// The moderator password of an `end` is wrong (BBB 2.4).
    WRONG_MODERATOR_PASSWORD = "invalidPassword", "The supplied moderator password is incorrect";
    /// The password of a join is neither of the two (BBB 2.4).
    NEITHER_PASSWORD =
        "invalidPassword", "The provided password is neither a moderator or attendee password";
    /// Another meeting with this id is running.
    ID_NOT_UNIQUE =
        "idNotUnique",
        "A meeting already exists with that meeting ID. Please use a different meeting ID.";
    /// The voice bridge is used by another meeting; the answer has the form with `errors`.
    VOICE_BRIDGE_TAKEN = "nonUniqueVoiceBridge", "The selected voice bridge is already in use.";
    /// A breakout room has no id of its parent.
    PARENT_ID_MISSING =
        "parentMeetingIDMissing", "No parent meeting ID was provided for the breakout room";
    /// The parent of a breakout room is unknown.
    PARENT_UNKNOWN = "parentMeetingDoesNotExist", "No parent meeting exists for the breakout room";
    /// The meeting of a join is unknown.
    INVALID_MEETING = "invalidMeetingIdentifier", "A meeting with that ID does not exist";
    /// The meeting of any other call is unknown.
    NOT_FOUND = "notFound", "A meeting with that ID does not exist";
    /// The recordings of the call are unknown.
    RECORDINGS_NOT_FOUND = "notFound", "We could not find recordings";
    /// The meeting of a join was ended.
    FORCIBLY_ENDED =
        "meetingForciblyEnded", "You can not join a meeting that has already been forcibly ended";
    /// The `createTime` of a join belongs to another instance.
    CREATE_TIME_MISMATCH =
        "mismatchCreateTimeParam",
        "The createTime parameter submitted mismatches with the current meeting.";
    /// The meeting of a join is full.
    FULL =
        "maxParticipantsReached",
        "The number of participants allowed for this meeting has been reached.";
    /// A guest joins a meeting that admits no guests.
    GUEST_DENIED =
        "guestDeniedAccess",
        "You have been denied access to this meeting based on the meeting's guest policy";
    /// The password of a join is neither of the two.
    JOIN_PASSWORD = "Params required", "You must enter a valid password";
    /// A join has no role and no password (the text is the one of BBB).
    JOIN_ROLE =
        "Params required",
        "You must either send the valid role of the user, or the password, sould the meeting has one.";
    /// The meeting of a chat message is not running.
    CHAT_MEETING_NOT_FOUND = "meetingNotFound", "Meeting not found";
    /// A recording call has no ids.
    MISSING_RECORD_ID = "missingParamRecordID", "You must specify a recordID.";
    /// A `publishRecordings` has no `publish`.
    MISSING_PUBLISH = "missingParamPublish", "You must specify a publish value true or false.";
    /// The `recordID` is given twice.
    RECORD_ID_INVALID = "validationError", "Invalid recording ID";
    /// A `hooks/create` has no `callbackURL`.
    MISSING_CALLBACK_URL =
        "missingParamCallbackURL", "You must specify a callbackURL in the parameters.";
    /// A `hooks/destroy` has no `hookID`.
    MISSING_HOOK_ID = "missingParamHookID", "You must specify a hookID in the parameters.";
    /// The hook of a `hooks/destroy` is unknown.
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
    /// The callback address is not valid.
    CALLBACK_URL_INVALID = "validationError", "Param 'callbackURL' is not a valid URL";
    /// A parameter of a webhook call is given twice.
    HOOK_PARAM_REPEATED = "validationError", "Each param of a webhook may be given once";
    /// The request has more parameters than the limit.
    TOO_MANY_PARAMETERS = "validationError", "Request has too many parameters";
    /// No server could serve the call; the caller may try again (the retryable error).
    SERVER_UNAVAILABLE =
        "serverUnavailable", "The server is unavailable at the moment. Please try again.";
    /// Usher failed; the request is not the cause.
    INTERNAL_ERROR = "internalError", "An internal error occurred. Please try again.";
    /// The tenant has reached its limit of meetings.
    TOO_MANY_MEETINGS =
        "maxConcurrent", "The number of meetings allowed at the same time has been reached.";
    /// No server has the required tag.
    TAG_UNAVAILABLE = "serverTagUnavailable", "There is no available server with the requested tag.";
}
