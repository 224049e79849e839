import type { PolicyCase } from './policy-file.ts'
import type { Rule } from './schema.ts'

/** A policy to start from. The connection is chosen when it is used. */
export interface PolicyTemplate {
  id: string
  name: string
  /** One sentence: what it lets through and what not. */
  description: string
  rules: Rule[]
  /** What it does, shown on calls; they come along in the file, and hold for it as it is. */
  tests: PolicyCase[]
}

const READING = ['get_*', 'list_*', 'read_*', 'search_*', 'find_*', 'describe_*']
const DESTROYING = ['delete_*', 'drop_*', 'truncate_*', 'destroy_*', 'purge_*', 'remove_*']

export const POLICY_TEMPLATES: readonly PolicyTemplate[] = [
  {
    id: 'read-only',
    name: 'Read only',
    description: 'Tools whose names say that they only read are allowed; every other tool is denied.',
    rules: [
      ...READING.map((tool): Rule => ({ tool, action: 'allow' })),
      { tool: '*', action: 'deny', reason: 'this connection is read-only' },
    ],
    tests: [
      { given: { tool: 'get_issue' }, expect: 'allow' },
      { given: { tool: 'create_issue' }, expect: { action: 'deny', reason: 'read-only' } },
      { name: 'a name that only contains a reading word is denied', given: { tool: 'forget_all' }, expect: 'deny' },
    ],
  },
  {
    id: 'no-destruction',
    name: 'No destruction',
    description: 'Everything is allowed but tools that delete, drop, truncate, destroy, purge or remove.',
    rules: [
      ...DESTROYING.map((tool): Rule => ({ tool, action: 'deny', reason: 'nothing may be destroyed here' })),
      { tool: '*', action: 'allow' },
    ],
    tests: [
      { given: { tool: 'create_issue' }, expect: 'allow' },
      { given: { tool: 'delete_repo' }, expect: { action: 'deny', reason: 'nothing may be destroyed' } },
      { name: 'only the beginning of the name counts', given: { tool: 'undelete_repo' }, expect: 'allow' },
    ],
  },
  {
    id: 'business-hours',
    name: 'Business hours',
    description: 'Tools are allowed from Monday to Friday, 8:00 to 18:00 UTC; reading is allowed at any time.',
    rules: [
      ...READING.map((tool): Rule => ({ tool, action: 'allow' })),
      { tool: '*', action: 'allow', conditions: { 'time.weekday': ['mon', 'tue', 'wed', 'thu', 'fri'], 'time.hour': { $gte: 8, $lt: 18 } } },
      { tool: '*', action: 'deny', reason: 'outside business hours (Monday to Friday, 8:00 to 18:00 UTC)' },
    ],
    tests: [
      { name: 'Monday at 8', given: { tool: 'create_issue', at: '2026-11-23T08:00:00Z' }, expect: 'allow' },
      { name: 'Monday before 8', given: { tool: 'create_issue', at: '2026-11-23T07:59:59Z' }, expect: { action: 'deny', reason: 'outside business hours' } },
      { name: 'Monday at 18', given: { tool: 'create_issue', at: '2026-11-23T18:00:00Z' }, expect: 'deny' },
      { name: 'Sunday', given: { tool: 'create_issue', at: '2026-11-22T12:00:00Z' }, expect: 'deny' },
      { name: 'reading on Sunday', given: { tool: 'read_file', at: '2026-11-22T12:00:00Z' }, expect: 'allow' },
    ],
  },
  {
    id: 'one-team',
    name: "One team's tools",
    description: 'Keys whose label starts with "team-" may use the tools; all other keys may only read.',
    rules: [
      { tool: '*', action: 'allow', conditions: { 'key.label': { $glob: 'team-*' } } },
      ...READING.map((tool): Rule => ({ tool, action: 'allow' })),
      { tool: '*', action: 'deny', reason: 'only the team that owns this connection may do more than read' },
    ],
    tests: [
      { name: 'the team changes', given: { tool: 'create_issue', key: 'team-blue' }, expect: 'allow' },
      { name: 'others do not change', given: { tool: 'create_issue', key: 'ci' }, expect: { action: 'deny', reason: 'only the team' } },
      { name: 'others read', given: { tool: 'list_issues', key: 'ci' }, expect: 'allow' },
    ],
  },
  {
    id: 'rate-limited',
    name: 'Rate limited',
    description: 'Everything is allowed, 60 calls a minute for each key; tools that destroy are also limited to 5 an hour and raise an alert.',
    rules: [
      ...DESTROYING.map((tool): Rule => ({ tool, action: 'alert', rateLimit: { max: 5, windowSeconds: 3600, per: 'key' } })),
      { tool: '*', action: 'allow', rateLimit: { max: 60, windowSeconds: 60, per: 'key' } },
    ],
    tests: [
      { given: { tool: 'create_issue' }, expect: { action: 'allow', limited: true } },
      { given: { tool: 'purge_queue' }, expect: { action: 'alert', limited: true } },
    ],
  },
  {
    id: 'lock-down',
    name: 'Lock-down',
    description: 'Every tool, resource and prompt is denied.',
    rules: [
      { tool: '*', action: 'deny', reason: 'locked down' },
      { resource: '*', action: 'deny', reason: 'locked down' },
      { prompt: '*', action: 'deny', reason: 'locked down' },
    ],
    tests: [
      { given: { tool: 'get_issue' }, expect: { action: 'deny', reason: 'locked down' } },
      { given: { resource: 'file:///readme.md' }, expect: 'deny' },
      { given: { prompt: 'summarize' }, expect: 'deny' },
    ],
  },
]
