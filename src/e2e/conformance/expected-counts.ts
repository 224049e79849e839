import type { Edition } from './suite.ts'

/** One run of the suite, and the checks that must pass in each of its scenarios, with and without the gateway. */
export interface ExpectedRun {
  edition: Edition
  words: string[]
  passed: Record<string, number>
  /** Checks that fail against our server too, in scenarios that the suite does not score. */
  failed: number
}

/** The same number of checks for every one of several scenarios, separated by blanks. */
function each(passed: number, scenarios: string): Record<string, number> {
  return Object.fromEntries(scenarios.split(' ').map((scenario) => [scenario, passed]))
}

const PLAIN =
  'completion-complete tools-call-simple-text tools-call-image tools-call-audio tools-call-embedded-resource tools-call-mixed-content tools-call-error tools-call-with-progress ' +
  'resources-list resources-read-text resources-read-binary resources-templates-read prompts-list prompts-get-simple prompts-get-with-args prompts-get-embedded-resource prompts-get-with-image'
const STATEFUL = 'logging-set-level ping tools-call-with-logging tools-call-sampling tools-call-elicitation resources-subscribe resources-unsubscribe'

export const EXPECTED_RUNS: ExpectedRun[] = [
  {
    edition: 'legacy',
    words: ['--suite', 'all'],
    failed: 0,
    passed: {
      ...each(1, PLAIN), ...each(1, STATEFUL), ...each(1, 'server-initialize tools-list'), ...each(2, 'server-sse-multiple-streams dns-rebinding-protection'),
      'json-schema-2020-12': 4, ...each(5, 'elicitation-sep1034-defaults elicitation-sep1330-enums'), 'server-sse-polling': 0,
    },
  },
  // The suite knows one scenario for this revision.
  { edition: 'current', words: ['--suite', 'all', '--spec-version', '2025-03-26'], failed: 0, passed: { 'server-session-lifecycle': 3 } },
  {
    edition: 'current',
    words: ['--suite', 'all', '--spec-version', '2025-06-18'],
    failed: 0,
    passed: { ...each(2, PLAIN), ...each(2, STATEFUL), ...each(3, 'server-initialize server-session-lifecycle'), 'tools-list': 2 },
  },
  {
    edition: 'current',
    words: ['--requirements', '2025-11-25'],
    failed: 0,
    passed: {
      ...each(2, PLAIN), ...each(2, STATEFUL), ...each(2, 'server-sse-multiple-streams dns-rebinding-protection'), ...each(3, 'server-initialize tools-list server-session-lifecycle server-sse-polling'),
      ...each(6, 'elicitation-sep1034-defaults elicitation-sep1330-enums'), 'json-schema-2020-12': 8,
    },
  },
  {
    edition: 'current',
    words: ['--requirements', '2026-07-28'],
    failed: 30,
    passed: {
      ...each(2, PLAIN), 'server-stateless': 30, 'tools-list': 4, 'server-sse-multiple-streams': 1, 'sep-2164-resource-not-found': 4, 'dns-rebinding-protection': 2,
      ...each(8, 'caching json-schema-2020-12'), 'http-header-validation': 14, 'http-custom-header-server-validation': 10,
      ...inputRequired(2, 'missing-input-response result-type unsupported-methods tampered-state capability-check ignore-extra-params'),
      ...inputRequired(3, 'basic-elicitation basic-sampling basic-list-roots request-state multiple-input-requests non-tool-request validate-input'),
      ...inputRequired(4, 'multi-round'),
      // Tasks are an extension that the SDK does not have. What passes without them must not change on the way either.
      'tasks-lifecycle': 1, 'tasks-capability-negotiation': 1, 'tasks-wire-fields': 1, 'tasks-request-state-removal': 1, 'tasks-mrtr-input': 1, 'tasks-request-headers': 2,
      'tasks-dispatch-and-envelope': 3, 'tasks-status-notifications': 0, 'tasks-required-task-error': 1, 'tasks-mrtr-composition': 1,
    },
  },
]

function inputRequired(passed: number, names: string): Record<string, number> {
  return each(passed, names.split(' ').map((name) => `input-required-result-${name}`).join(' '))
}
