//! The table of accepted differences between the genuine server and the edge.

use super::replay::AcceptedDifference;

/// The differences between the genuine server and the edge. A reason that begins with `fault:` is
/// one to mend; the entry goes with it.
pub(super) const ACCEPTED: &[AcceptedDifference] = &[
    AcceptedDifference {
        requests: &["root ctype json"],
        difference: "header content-type: `application/json",
        reason: "the root answers in JSON if requested, as 3.0 does",
    },
    AcceptedDifference {
        requests: &["root ctype json"],
        difference: "/response: the element is `json`",
        reason: "the root answers in JSON if requested, as 3.0 does",
    },
    AcceptedDifference {
        requests: &["root accept", "getMeetings empty accept json", "getMeetings accept html"],
        difference: "status 200, not 500: <response>",
        reason: "an `Accept` without XML is an exception of the genuine server",
    },
    AcceptedDifference {
        requests: &["GET /bigbluebutton/api/"],
        difference: "status 200, not 404: <response>",
        reason: "an unknown call is refused in XML, because applications take a 404 for a dead server",
    },
    AcceptedDifference {
        requests: &[
            "PUT getMeetings",
            "DELETE getMeetings",
            "OPTIONS getMeetings",
            "PATCH getMeetings",
            "PUT create",
        ],
        difference: "/response: the elements are [\"returncode\", \"messageKey\", \"message\"]",
        reason: "other methods than GET and POST are refused",
    },
    AcceptedDifference {
        requests: &["publishRecordings POST", "putRecordingTextTrack GET"],
        difference: "status 200, not 500: ",
        reason: "a wrong method is refused, where the genuine server has an exception",
    },
    AcceptedDifference {
        requests: &["getMeetings"],
        difference: "/response/meetings: the meetings are ",
        reason: "the meetings of creates that the edge refuses, or takes and the genuine server refuses",
    },
    AcceptedDifference {
        requests: &["create plus id"],
        difference: "/response/meetingID: `daa+b  c`, not `daa+b c`",
        reason: "an id is shown as it was given, where the genuine server squeezes its blanks",
    },
    AcceptedDifference {
        requests: &["getRecordings", "getMeetingInfo", "insertDocument"],
        difference: "header cache-control: `no-cache`, not ``",
        reason: "no answer about meetings may be kept by a cache",
    },
    AcceptedDifference {
        requests: &["getRecordings limit"],
        difference: "/response: the elements are ",
        reason: "pages have their figures also if they are empty, as 3.0 has pages and 2.5 has none",
    },
    AcceptedDifference {
        requests: &["putRecordingTextTrack unknown", "putRecordingTextTrack bad kind"],
        difference: "header set-cookie: ``",
        reason: "a session with one server is of no use at the edge",
    },
    AcceptedDifference {
        requests: &["putRecordingTextTrack bad kind"],
        difference: "/json/response/message: `Invalid kind",
        reason: "the parameters are checked before the servers are asked for the recording",
    },
    AcceptedDifference {
        requests: &["putRecordingTextTrack bad kind"],
        difference: "/json/response/messageKey: `invalidKind`",
        reason: "the parameters are checked before the servers are asked for the recording",
    },
    AcceptedDifference {
        requests: &["checksum upper"],
        difference: "/response: the elements are [\"returncode\", \"running\"]",
        reason: "hexadecimal digits are accepted in both cases",
    },
    AcceptedDifference {
        requests: &["checksum missing"],
        difference: "/response/message: `You must provide the checksum`",
        reason: "the genuine server reports an arbitrary one of two faults",
    },
    AcceptedDifference {
        requests: &["checksum twice same"],
        difference: "/response: the elements are [\"returncode\", \"messageKey\", \"message\"]",
        reason: "a repeated checksum is refused, as by 3.0",
    },
    AcceptedDifference {
        requests: &[
            "checksum missing join",
            "join empty name",
            "join unknown",
            "join bad checksum",
            "join guest maybe",
            "join no id",
            "join right after end",
        ],
        difference: "status 200, not 302: <response>",
        reason: "a refused join is XML, unless the request is signed and names an address",
    },
    AcceptedDifference {
        requests: &[
            "create no name",
            "create short name",
            "create short id",
            "create empty name",
            "create long",
            "isMeetingRunning short",
        ],
        difference: "/response/messageKey: `validationError`",
        reason: "the keys of 2.6 and newer",
    },
    AcceptedDifference {
        requests: &["create no id", "isMeetingRunning none", "insertDocument none"],
        difference: "status 200, not 500: <response>\n<returncode>FAILED</returncode>\n<messageKey>missingParamMeetingID",
        reason: "a missing id is an exception of the genuine server",
    },
    AcceptedDifference {
        requests: &["create nothing", "create empty id", "getMeetingInfo none", "end none"],
        difference: "/response/messageKey: `missingParamMeetingID`",
        reason: "a missing id has its own key, as in 2.6 and newer",
    },
    AcceptedDifference {
        requests: &["create nothing", "create empty id", "getMeetingInfo none", "end none"],
        difference: "/response/message: `You must provide a meeting ID`",
        reason: "a missing id has its own key, as in 2.6 and newer",
    },
    AcceptedDifference {
        requests: &["join no name"],
        difference: "status 200, not 500: <response>\n<returncode>FAILED</returncode>\n<messageKey>missingParamFullName",
        reason: "a missing name is an exception of the genuine server",
    },
    AcceptedDifference {
        requests: &["create space id", "create bad url"],
        difference: "/response: the elements are [\"returncode\", \"messageKey\", \"message\"]",
        reason: "white space around an id and an invalid address are refused, as by 2.6 and newer",
    },
    AcceptedDifference {
        requests: &["create two errors"],
        difference: "/response/messageKey: `validationError`",
        reason: "of several faults the genuine server reports an arbitrary one",
    },
    AcceptedDifference {
        requests: &["create two errors"],
        difference: "/response/message: `Meeting ID must be",
        reason: "of several faults the genuine server reports an arbitrary one",
    },
    AcceptedDifference {
        requests: &["create breakout"],
        difference: "status 200, not 500: <response>\n<returncode>FAILED</returncode>\n<messageKey>parentMeeting",
        reason: "a breakout room without a known parent is refused in the words of 3.0",
    },
    AcceptedDifference {
        requests: &["create test bridge", "getMeetings"],
        difference: "/response/internalMeetingID: `aa6e867cc9fac38015f26443d937ba8f83ea7cd2-",
        reason: "the edge removes the number of the test bridge, so that the internal id has its hash",
    },
    AcceptedDifference {
        requests: &["create test bridge", "getMeetings"],
        difference: "/response/meetings/meeting/internalMeetingID: `aa6e867cc9fac38015f26443d937ba8f83ea7cd2-",
        reason: "the edge removes the number of the test bridge, so that the internal id has its hash",
    },
    AcceptedDifference {
        requests: &["create form rebuilt", "create form unsigned body"],
        difference: "/response: the elements are [\"returncode\", \"meetingID\"",
        reason: "a form is accepted as 2.6.18 and newer accept it, and sent as the server accepts it",
    },
    AcceptedDifference {
        requests: &["create bad xml", "insertDocument bad xml"],
        difference: "status 200, not 500: <response>\n<returncode>FAILED</returncode>\n<messageKey>validationError",
        reason: "a broken body is refused before it reaches a server, and creates no meeting",
    },
    AcceptedDifference {
        requests: &["create json body"],
        difference: "status 200, not 500: <response>\n<returncode>FAILED</returncode>\n<messageKey>unsupportedContentType",
        reason: "a body of another type is refused in the words of 3.0",
    },
    AcceptedDifference {
        requests: &["create xml no ctype", "insertDocument form", "insertDocument GET"],
        difference: "/response: the elements are [\"returncode\", \"messageKey\", \"message\"]",
        reason: "a body without a type, and a document without a body, are refused as by 3.0",
    },
    AcceptedDifference {
        requests: &["getMeetings"],
        difference: "/response/meetings/meeting/recording: `false`, not `true`",
        reason: "parameters in a body beside a signed query are not signed, and are dropped",
    },
    AcceptedDifference {
        requests: &["getMeetings"],
        difference: "/response/meetings/meeting/metadata: the elements are []",
        reason: "parameters in a body beside a signed query are not signed, and are dropped",
    },
    AcceptedDifference {
        requests: &["getMeetingInfo by hash"],
        difference: "/response: the elements are [\"returncode\", \"messageKey\", \"message\"]",
        reason: "an id is compared as a whole: the beginning of one may name a foreign meeting",
    },
    AcceptedDifference {
        requests: &["getMeetingInfo space"],
        difference: "status 200, not 500: <response>\n<returncode>FAILED</returncode>\n<messageKey>notFound",
        reason: "white space around an id is an exception of the genuine server",
    },
    AcceptedDifference {
        requests: &["join unknown logoutURL", "join unknown errorRedirectUrl"],
        difference: "header location: `https://app.example.org/",
        reason: "the address of a signed request is used, in the form of 2.7, also if it contains a space",
    },
    AcceptedDifference {
        requests: &["join unknown logoutURL", "join unknown errorRedirectUrl"],
        difference: "header cache-control: `no-cache`, not ``",
        reason: "the address of a signed request is used, in the form of 2.7, also if it contains a space",
    },
    AcceptedDifference {
        requests: &["join POST"],
        difference: "status 200, not 302: <response>\n<returncode>FAILED</returncode>\n<messageKey>unsupportedRequest",
        reason: "3.0 joins by GET only, because the body is not signed",
    },
    AcceptedDifference {
        requests: &["getSessions"],
        difference: "/response/sessions: the elements are ",
        reason: "the join by POST is missing",
    },
    AcceptedDifference {
        requests: &["insertDocument unknown"],
        difference: "status 200, not 500: <response>\n<returncode>FAILED",
        reason: "an unknown meeting is refused in the words of 3.0",
    },
    AcceptedDifference {
        requests: &[
            "enter bad token",
            "stuns bad token",
            "learningDashboard bad token",
            "guestWait bad token",
        ],
        difference: "/json",
        reason: "calls of a browser's session go to its server and are refused here",
    },
    AcceptedDifference {
        requests: &["signOut bad token"],
        difference: "/response: the elements are ",
        reason: "calls of a browser's session go to its server and are refused here",
    },
    AcceptedDifference {
        requests: &["getJoinUrl bad token"],
        difference: "status 200, not 404: {",
        reason: "calls of a browser's session go to its server and are refused here",
    },
    AcceptedDifference {
        requests: &["sendChatMessage"],
        difference: "status 200, not 404: <response>\n<returncode>FAILED</returncode>\n<messageKey>unsupportedRequest",
        reason: "a call that the version of the server lacks is refused in XML",
    },
    AcceptedDifference {
        requests: &["hooks/list"],
        difference: "status 200, not 404: <response>\n<returncode>FAILED</returncode>\n<messageKey>unsupportedRequest",
        reason: "webhooks are off without `public_url`",
    },
    AcceptedDifference {
        requests: &["end attendee pw", "end ok"],
        difference: "/response/returncode: `FAILED`, not `SUCCESS`",
        reason: "a meeting is over for the edge once its server has accepted the end",
    },
    AcceptedDifference {
        requests: &["end attendee pw", "end ok"],
        difference: "/response/messageKey: `notFound`",
        reason: "a meeting is over for the edge once its server has accepted the end",
    },
    AcceptedDifference {
        requests: &["end attendee pw", "end ok"],
        difference: "/response/message: `A meeting with that ID",
        reason: "a meeting is over for the edge once its server has accepted the end",
    },
    AcceptedDifference {
        requests: &["end short pw"],
        difference: "/response/messageKey: `notFound`",
        reason: "a meeting is over for the edge once its server has accepted the end",
    },
    AcceptedDifference {
        requests: &["end short pw"],
        difference: "/response/message: `A meeting with that ID",
        reason: "a meeting is over for the edge once its server has accepted the end",
    },
    AcceptedDifference {
        requests: &["getMeetingInfo right after end"],
        difference: "/response: the elements are [\"returncode\", \"messageKey\", \"message\"]",
        reason: "a meeting is over for the edge once its server has accepted the end",
    },
];
