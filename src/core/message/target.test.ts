import { describe, expect, test } from 'bun:test'
import type { RpcMessage } from '../message.ts'
import { isKnownMethod, isNeverDenied, kindOfMethod } from './methods.ts'
import { targetOf } from './target.ts'

function message(method: string | null, params: Record<string, unknown> | null = null, kind: RpcMessage['kind'] = 'request'): RpcMessage {
  return { kind, idText: kind === 'notification' ? null : '1', method, params, era: 'legacy', envelopeVersion: null, bytes: 1 }
}

describe('what policies judge', () => {
  test.each([
    ['a tool', message('tools/call', { name: 'echo', uri: 'x' }), [{ kind: 'tool', name: 'echo' }]],
    ['a tool that is called without an id', message('tools/call', { name: 'echo' }, 'notification'), [{ kind: 'tool', name: 'echo' }]],
    ['a prompt', message('prompts/get', { name: 'greet' }), [{ kind: 'prompt', name: 'greet' }]],
    ['a resource that is read', message('resources/read', { uri: 'file:///a' }), [{ kind: 'resource', name: 'file:///a' }]],
    ['a resource that is subscribed to', message('resources/subscribe', { uri: 'file:///a' }), [{ kind: 'resource', name: 'file:///a' }]],
    ['a resource that is left', message('resources/unsubscribe', { uri: 'file:///a' }), [{ kind: 'resource', name: 'file:///a' }]],
    ['nothing of a subscription that 2026-07-28 knows no more, without a resource', { ...message('resources/subscribe', {}), era: 'modern' }, []],
    ['the resource of a subscription that 2026-07-28 knows no more', { ...message('resources/subscribe', { uri: 'a' }), era: 'modern' }, [{ kind: 'resource', name: 'a' }]],
    ['the prompt of a completion', message('completion/complete', { ref: { type: 'ref/prompt', name: 'greet' } }), [{ kind: 'prompt', name: 'greet' }]],
    ['the resource of a completion', message('completion/complete', { ref: { type: 'ref/resource', uri: 'file:///{x}' } }), [{ kind: 'resource', name: 'file:///{x}' }]],
    ['every resource of a subscription', message('subscriptions/listen', { notifications: { resourceSubscriptions: ['a', 'b'] } }), [{ kind: 'resource', name: 'a' }, { kind: 'resource', name: 'b' }]],
    ['nothing of a subscription to lists', message('subscriptions/listen', { notifications: { toolsListChanged: true } }), []],
    ['nothing of a subscription without params', message('subscriptions/listen'), []],
    ['nothing of a list', message('tools/list', { name: 'echo' }), []],
    ['nothing of a response', message(null, null, 'response'), []],
    ['nothing of an unknown method', message('tools/Call', { name: 'echo' }), []],
  ] as const)('is %s', (_claim, subject, targets) => expect(targetOf(subject)).toEqual([...targets]))

  test('a call without a name, which no reading accepts, is a bug and not a call without target', () => {
    expect(() => targetOf(message('tools/call'))).toThrow()
    expect(() => targetOf(message('resources/subscribe'))).toThrow()
    expect(() => targetOf({ ...message('resources/subscribe', { uri: 1 }), era: 'modern' })).toThrow()
    expect(() => targetOf({ ...message('resources/read', {}), era: 'modern' })).toThrow()
    expect(() => targetOf(message('tools/call', { name: 1 }))).toThrow()
  })
})

describe('methods', () => {
  const requests = [
    'initialize', 'ping', 'server/discover', 'tools/list', 'tools/call', 'prompts/list', 'prompts/get', 'resources/list', 'resources/templates/list', 'resources/read', 'resources/subscribe', 'resources/unsubscribe',
    'subscriptions/listen', 'completion/complete', 'logging/setLevel', 'tasks/get', 'tasks/result', 'tasks/list', 'tasks/cancel', 'tasks/update',
  ]
  const notifications = ['notifications/initialized', 'notifications/cancelled', 'notifications/progress', 'notifications/roots/list_changed', 'notifications/tasks/status']
  test.each(requests)('%s is a known request', (method) => expect([isKnownMethod(method), kindOfMethod(method)]).toEqual([true, 'request']))
  test.each(notifications)('%s is a known notification', (method) => expect([isKnownMethod(method), kindOfMethod(method)]).toEqual([true, 'notification']))
  test.each(['', 'Tools/call', 'tools/call ', 'tools/execute', 'tools', 'constructor', '__proto__', 'toString', 'sampling/createMessage', 'elicitation/create', 'roots/list', 'notifications/message'])('%j is not known', (method) => {
    expect([isKnownMethod(method), kindOfMethod(method), isNeverDenied(method)]).toEqual([false, null, false])
  })
  test('only the handshake, liveness and lists are never denied', () => {
    expect([...requests, ...notifications].filter(isNeverDenied)).toEqual(['initialize', 'ping', 'server/discover', 'tools/list', 'prompts/list', 'resources/list', 'resources/templates/list', 'tasks/list'])
  })
})
