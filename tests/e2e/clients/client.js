// Drives the library bigbluebutton-js through two edges: `node client.js EDGE1 EDGE2 SECRET`.
'use strict'

const assert = require('assert')
const bbb = require('bigbluebutton-js')

const [firstEdge, secondEdge, secret] = process.argv.slice(2)
const base = (edge) => `${edge}/bigbluebutton`
const first = bbb.api(base(firstEdge), secret)
const second = bbb.api(base(secondEdge), secret)
const rooms = ['javascript-1', 'javascript ü/2']

async function main() {
  for (const room of rooms) {
    const params = { attendeePW: 'ap', moderatorPW: 'mp', meta_course: 'math 101', welcome: null, record: true }
    const created = await bbb.http(first.administration.create('Lecture & more', room, params))
    assert.equal(created.returncode, 'SUCCESS', JSON.stringify(created))
    assert.equal(created.meetingID, room)
  }
  for (const room of rooms) {
    // The other edge, at once: it must already have the new meeting.
    const response = await fetch(second.administration.join('Grace', room, 'mp', {}))
    assert.match(await response.text(), /Grace/)
    const running = await bbb.http(second.monitoring.isMeetingRunning(room))
    assert.equal(String(running.running), 'true')
    const info = await bbb.http(second.monitoring.getMeetingInfo(room))
    assert.equal(info.meetingID, room)
    assert.equal(info.participantCount, 1)
    assert.deepEqual(Object.keys(info.metadata), ['course'])
  }
  const listed = await bbb.http(first.monitoring.getMeetings())
  assert.deepEqual(listed.meetings.map((meeting) => meeting.meetingID).sort(), [...rooms].sort())
  for (const room of rooms) {
    const ended = await bbb.http(second.administration.end(room, 'mp'))
    assert.equal(ended.returncode, 'SUCCESS', JSON.stringify(ended))
  }
  // Each meeting was recorded, each on its server, once the server has carried out the end.
  const recorded = (edge, asked) => bbb.http(edge.recording.getRecordings(asked))
  const deadline = Date.now() + 20000
  let both = { recordings: [] }
  while ((both.recordings || []).length < rooms.length && Date.now() < deadline) {
    both = await recorded(first, { meta_course: 'math%' })
  }
  assert.deepEqual(both.recordings.map((entry) => entry.meetingID).sort(), [...rooms].sort())
  const ids = both.recordings.map((entry) => entry.recordID).join(',')
  const page = await recorded(second, { offset: 1, limit: 1 })
  assert.equal(page.recordings.length, 1)
  assert.deepEqual([page.totalElements, page.pagination.totalElements], [2, 2])
  const hidden = await bbb.http(first.recording.publishRecordings(ids, false))
  assert.equal(String(hidden.published), 'false')
  assert.equal((await recorded(second, { recordID: ids, state: 'unpublished' })).recordings.length, 2)
  const updated = await bbb.http(second.recording.updateRecordings(ids, { meta_course: 'physics' }))
  assert.equal(String(updated.updated), 'true')
  assert.equal((await recorded(first, { meta_course: 'physics' })).recordings.length, 2)
  const deleted = await bbb.http(first.recording.deleteRecordings(ids))
  assert.equal(String(deleted.deleted), 'true')
  assert.equal((await recorded(second, {})).messageKey, 'noRecordings')
  const refused = await bbb.http(bbb.api(base(firstEdge), 'wrong').monitoring.getMeetings())
  assert.equal(refused.messageKey, 'checksumError')
  console.log('javascript: all well')
}

main().catch((error) => {
  console.error(error)
  process.exit(1)
})
