"""Drives the library bigbluebutton-api-python through two edges: `client.py EDGE1 EDGE2 SECRET`."""

import sys
from urllib.request import urlopen

from bigbluebutton_api_python import BigBlueButton
from bigbluebutton_api_python.exception import BBBException

first_edge, second_edge, secret = sys.argv[1:]
first = BigBlueButton(first_edge, secret)
second = BigBlueButton(second_edge, secret)
ROOMS = ["python-1", "python ü/2"]


def expect(what, holds):
    if not holds:
        sys.exit(f"not so: {what}")


def fails(key, call):
    try:
        call()
    except BBBException as error:
        expect(f"{key}, not {error.bbb_message if hasattr(error, 'bbb_message') else error}", key in str(vars(error)))
    else:
        sys.exit(f"no {key} came")


expect("the API has a version", first.get_api_version().get_version() == "2.0")

for room in ROOMS:
    params = {"name": "Lecture & more", "attendeePW": "ap", "moderatorPW": "mp"}
    created = first.create_meeting(room, params=params, meta={"course": "math 101"})
    expect("the id comes back", created.get_meetingid() == room)
    expect("the passwords come back", (created.get_attendee_pw(), created.get_moderator_pw()) == ("ap", "mp"))

for number, room in enumerate(ROOMS):
    # The other edge, at once: it has to know what this one just learned.
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
fails("checksumError", lambda: BigBlueButton(first_edge, "wrong").get_meetings())
fails("notFound", lambda: first.get_meeting_info("never created"))
print("python: all well")
