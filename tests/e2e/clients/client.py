"""Drives the library bigbluebutton-api-python through two edges: `client.py EDGE1 EDGE2 SECRET`."""

import sys
import time
from urllib.request import urlopen

from bigbluebutton_api_python import BigBlueButton
from bigbluebutton_api_python.exception import BBBException

first_edge, second_edge, secret = sys.argv[1:]
first = BigBlueButton(first_edge, secret)
second = BigBlueButton(second_edge, secret)
ROOMS = ["python-1", "python ü/2"]


def expect(claim, holds):
    if not holds:
        sys.exit(f"failed: {claim}")


def fails(key, call):
    try:
        call()
    except BBBException as error:
        expect(f"{key}, not {error.bbb_message if hasattr(error, 'bbb_message') else error}", key in str(vars(error)))
    else:
        sys.exit(f"no {key} came")


expect("the API has a version", first.get_api_version().get_version() == "2.0")

for room in ROOMS:
    params = {"name": "Lecture & more", "attendeePW": "ap", "moderatorPW": "mp", "record": True}
    created = first.create_meeting(room, params=params, meta={"course": "math 101"})
    expect("the id comes back", created.get_meetingid() == room)
    expect("the passwords come back", (created.get_attendee_pw(), created.get_moderator_pw()) == ("ap", "mp"))

for number, room in enumerate(ROOMS):
    # The other edge, at once: it must already have the new meeting.
    url = second.get_join_meeting_url(f"Ada {number}", room, "mp", params={})
    page = urlopen(url).read().decode()
    expect("the session page greets who joined", f"Ada {number}" in page)
    expect("the meeting runs", second.is_meeting_running(room).is_meeting_running())
    info = second.get_meeting_info(room)
    meeting = info.get_meetinginfo()
    expect("the info is about the room", meeting.get_meetingid() == room)
    expect("one person is there", meeting.get_participantcount() == 1)
    expect("it is she", info.get_field("attendees")["attendee"]["fullName"] == f"Ada {number}")
    expect("only the application's metadata is shown", list(info.get_field("metadata").keys()) == ["course"])

listed = sorted(meeting.get_meetingid() for meeting in first.get_meetings().get_meetings())
expect(f"both are listed, not {listed}", listed == sorted(ROOMS))

for room in ROOMS:
    second.end_meeting(room, "mp")


def recorded(edge, **asked):
    """What is listed, by meeting id; one recording alone is no list to this library."""
    listed = edge.get_recordings(**asked).get_field("recordings")
    found = listed["recording"] if listed else []
    found = found if isinstance(found, list) else [found]
    return {str(entry["meetingID"]): entry for entry in found}


# Each meeting was recorded, each on its server, once the server has carried out the end.
deadline = time.monotonic() + 20
listed = {}
while len(listed) < len(ROOMS) and time.monotonic() < deadline:
    listed = recorded(first, meta={"course": "math%"})
expect(f"both are recorded, not {list(listed)}", sorted(listed) == sorted(ROOMS))
metadata = list(listed[ROOMS[0]]["metadata"].keys())
expect(f"only its own metadata is there, not {metadata}", not any("usher" in key for key in metadata))
ids = ",".join(str(entry["recordID"]) for entry in listed.values())
expect("one can be asked for", list(recorded(second, meeting_id=ROOMS[1])) == ROOMS[1:])
expect("both are hidden", not first.publish_recordings(ids, publish=False).is_published())
states = {str(entry["state"]) for entry in recorded(second, recording_id=ids).values()}
expect(f"the other edge knows, not {states}", states == {"unpublished"})
expect("both are changed", str(second.update_recordings(ids, {"course": "physics"}).get_field("updated")) == "true")
expect("by both edges", len(recorded(first, meta={"course": "physics"})) == 2)
expect("both are deleted", str(first.delete_recordings(ids).get_field("deleted")) == "true")
expect("and gone", second.get_recordings().get_recordings() == [])
fails("notFound", lambda: second.delete_recordings(ids))
fails("checksumError", lambda: BigBlueButton(first_edge, "wrong").get_meetings())
fails("notFound", lambda: first.get_meeting_info("never created"))
print("python: all well")
