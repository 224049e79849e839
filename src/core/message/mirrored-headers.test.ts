import { describe, expect, test } from 'bun:test'
import type { RpcMessage } from '../message.ts'
import { checkMirroredHeaders, decodeHeaderText, isModernVersion } from './mirrored-headers.ts'
import { readMessage } from './read.ts'

const MODERN = '2026-07-28'

function message(fields: Record<string, unknown>): RpcMessage {
  const result = readMessage(new TextEncoder().encode(JSON.stringify({ jsonrpc: '2.0', ...fields })))
  const first = result.ok ? result.body.messages[0] : undefined
  if (first === undefined) throw new Error('the test gave a message that is refused')
  return first
}

function modern(method: string, params: Record<string, unknown> = {}, id: number | undefined = 1): RpcMessage {
  return message({ id, method, params: { ...params, _meta: { 'io.modelcontextprotocol/protocolVersion': MODERN, 'io.modelcontextprotocol/clientCapabilities': {} } } })
}

type Headers = Record<string, string>

function codeOf(subject: RpcMessage, headers: Headers): number | null {
  const refusal = checkMirroredHeaders(subject, (name) => headers[name.toLowerCase()] ?? null)
  if (refusal !== null) expect(refusal.code).toBe('invalid_request')
  return refusal === null ? null : (refusal.rpcCode ?? 0)
}

const base64 = (text: string) => `=?base64?${Buffer.from(text).toString('base64')}?=`
const CALL = { 'mcp-protocol-version': MODERN, 'mcp-method': 'tools/call', 'mcp-name': 'echo' }

describe('a modern request', () => {
  const echo = modern('tools/call', { name: 'echo' })
  const rows: [claim: string, subject: RpcMessage, headers: Headers, code: number | null][] = [
    ['passes where all headers agree', echo, CALL, null],
    ['passes with blanks around the values', echo, { ...CALL, 'mcp-name': ' echo\t' }, null],
    ['passes with its name in base64', echo, { ...CALL, 'mcp-name': base64('echo') }, null],
    ['is refused without version', echo, { 'mcp-method': 'tools/call', 'mcp-name': 'echo' }, -32020],
    ['is refused with another version', echo, { ...CALL, 'mcp-protocol-version': '2025-11-25' }, -32020],
    ['is refused with a later version', echo, { ...CALL, 'mcp-protocol-version': '2099-01-01' }, -32020],
    ['is refused with the version twice', echo, { ...CALL, 'mcp-protocol-version': `${MODERN}, ${MODERN}` }, -32020],
    ['is refused without method', echo, { 'mcp-protocol-version': MODERN, 'mcp-name': 'echo' }, -32020],
    ['is refused with another method', echo, { ...CALL, 'mcp-method': 'tools/list' }, -32020],
    ['is refused with its method in another case', echo, { ...CALL, 'mcp-method': 'Tools/Call' }, -32020],
    ['is refused without name', echo, { 'mcp-protocol-version': MODERN, 'mcp-method': 'tools/call' }, -32020],
    ['is refused with another name', echo, { ...CALL, 'mcp-name': 'delete' }, -32020],
    ['is refused with its name in another case', echo, { ...CALL, 'mcp-name': 'Echo' }, -32020],
    ['is refused with an empty name', echo, { ...CALL, 'mcp-name': '' }, -32020],
    ['is refused with another name in base64', echo, { ...CALL, 'mcp-name': base64('delete') }, -32020],
    ['is refused with upper-case base64 markers', echo, { ...CALL, 'mcp-name': base64('echo').replace('base64', 'BASE64') }, -32020],
    ['passes with a name that only base64 can carry', modern('tools/call', { name: 'écho' }), { ...CALL, 'mcp-name': base64('écho') }, null],
    ['is refused with that name as raw bytes', modern('tools/call', { name: 'écho' }), { ...CALL, 'mcp-name': 'écho' }, -32020],
    ['needs the URI of a resource as name', modern('resources/read', { uri: 'file:///a' }), { ...CALL, 'mcp-method': 'resources/read', 'mcp-name': 'file:///a' }, null],
    ['is refused with the URI of another resource', modern('resources/read', { uri: 'file:///a' }), { ...CALL, 'mcp-method': 'resources/read', 'mcp-name': 'file:///b' }, -32020],
    ['needs the id of a task as name', modern('tasks/update', { taskId: 't1' }), { ...CALL, 'mcp-method': 'tasks/update', 'mcp-name': 't1' }, null],
    ['is refused with the id of another task', modern('tasks/update', { taskId: 't1' }), { ...CALL, 'mcp-method': 'tasks/update', 'mcp-name': 't2' }, -32020],
    ['needs no name where the method has none', modern('tools/list'), { 'mcp-protocol-version': MODERN, 'mcp-method': 'tools/list' }, null],
    ['without a version in its envelope is refused as bad params', message({ id: 1, method: 'tools/list', params: { _meta: { 'io.modelcontextprotocol/clientCapabilities': {} } } }), { 'mcp-protocol-version': MODERN, 'mcp-method': 'tools/list' }, -32602],
  ]
  test.each(rows)('%s', (_claim, subject, headers, code) => expect(codeOf(subject, headers)).toBe(code))
})

describe('a legacy message', () => {
  const legacyCall = message({ id: 1, method: 'tools/call', params: { name: 'echo' } })
  const rows: [claim: string, subject: RpcMessage, headers: Headers, code: number | null][] = [
    ['passes without headers', legacyCall, {}, null],
    ['passes with a legacy version, whatever the other headers say', legacyCall, { 'mcp-protocol-version': '2025-11-25', 'mcp-method': 'tools/list', 'mcp-name': 'x' }, null],
    ['passes with a version that is no date', legacyCall, { 'mcp-protocol-version': 'newest' }, null],
    ['is refused as a request under a modern version', legacyCall, CALL, -32602],
    ['is refused as initialize under a modern version', message({ id: 1, method: 'initialize', params: {} }), { 'mcp-protocol-version': MODERN }, -32602],
    ['passes as a notification under a modern version', message({ method: 'notifications/cancelled' }), { 'mcp-protocol-version': MODERN }, null],
    ['is refused as a notification whose header names another method', message({ method: 'notifications/cancelled' }), { 'mcp-protocol-version': MODERN, 'mcp-method': 'notifications/progress' }, -32020],
    ['passes as a response', message({ id: 1, result: {} }), { 'mcp-protocol-version': MODERN, 'mcp-method': 'x' }, null],
  ]
  test.each(rows)('%s', (_claim, subject, headers, code) => expect(codeOf(subject, headers)).toBe(code))
})

test('a modern notification may come without headers but not with headers that disagree', () => {
  const { idText: _idText, ...rest } = modern('notifications/progress')
  const notification: RpcMessage = { ...rest, kind: 'notification', idText: null }
  expect(codeOf(notification, {})).toBeNull()
  expect(codeOf(notification, { 'mcp-protocol-version': '2025-11-25' })).toBe(-32020)
  expect(codeOf(notification, { 'mcp-protocol-version': MODERN, 'mcp-method': 'x' })).toBe(-32020)
})

test.each([
  ['echo', 'echo'], ['', ''], ['=?base64?ZWNobw==?=', 'echo'], ['=?base64??=', ''],
  ['=?base64?ZWNobw?=', null], ['=?base64?ZWNobw=?=', null], ['=?base64?ZWNobx==?=', null], ['=?base64?ZW Nobw==?=', null], ['=?base64?_-8=?=', null], ['=?base64?/w==?=', null],
  ['=?base64?ZWNobw==', null], ['=?BASE64?ZWNobw==?=', null], ['a\u0000', null], ['\u00e9', null], ['a\tb', null],
])('the header text %j is read as %j', (written, text) => expect(decodeHeaderText(written)).toBe(text))

test.each([['2026-07-28', true], ['2026-07-27', false], ['2027-01-01', true], ['2025-11-25', false], ['', false], ['2026-07-28x', false], ['9', false]])('version %j is modern: %p', (version, isModern) => expect(isModernVersion(version)).toBe(isModern))
