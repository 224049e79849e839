/*
 * What looks like a secret, by the name it goes by or by its own shape. Doubt masks: a masked harmless value costs a glance,
 * a secret on record costs a rotation.
 */

export const MASK = '[masked]'

/** Unmistakable anywhere in a name, with separators and case taken away: `x-api-key`, `dbPassword`, `AWS_SECRET_ACCESS_KEY`. */
const SECRET_PARTS = new RegExp(
  'passw(?:or)?d|passphrase|passcode|passkey|secret|token|apikey|authorization|cookie|credential|privatekey|accesskey|signingkey|encryptionkey|'
  + 'masterkey|sshkey|accountkey|sharedkey|servicekey|bearer|connectionstring|webhookurl|onetimecode|recoverycode|sessionid|sessionkey|sessiontoken|subscriptionkey',
)
/** Too short to look for inside other words (`spinner`, `author`): only as a word of their own. */
const SECRET_WORDS = new Set(['pwd', 'pass', 'passwd', 'pin', 'otp', 'totp', 'jwt', 'auth', 'session', 'sess', 'sid', 'pat', 'cvv', 'cvc', 'ssn', 'creds', 'cred', 'mfa'])
/** `max_tokens`, `token_count`: amounts, when their value is a number. */
const TOKEN_AMOUNT = /tokens|token(?:s?)(?:count|limit|budget|usage|size|length)/

const NAME_CHARS_MAX = 256
const NAMES_MAX = 4096
type Verdict = 'plain' | 'secret' | 'amount'
/** Names repeat from call to call. Remembering a verdict changes no answer, only its price. */
const verdicts = new Map<string, Verdict>()

/** Whether a field of this name holds a secret, whatever its case and separators. Amounts of tokens are none. */
export function isSecretKey(name: string, value: unknown): boolean {
  let verdict = verdicts.get(name)
  if (verdict === undefined) {
    verdict = judgeName(name)
    if (name.length <= 64) {
      if (verdicts.size >= NAMES_MAX) verdicts.clear()
      verdicts.set(name, verdict)
    }
  }
  return verdict === 'secret' || (verdict === 'amount' && typeof value !== 'number')
}

function judgeName(name: string): Verdict {
  // Of an absurdly long name both ends are looked at; the middle is filler.
  const read = name.length <= NAME_CHARS_MAX ? name : `${name.slice(0, NAME_CHARS_MAX / 2)} ${name.slice(-NAME_CHARS_MAX / 2)}`
  const words = read.replace(/([a-z0-9])([A-Z])/g, '$1 $2').normalize('NFKC').toLowerCase().split(/[^a-z0-9]+/)
  const joined = words.join('')
  if (SECRET_PARTS.test(joined)) return TOKEN_AMOUNT.test(joined) ? 'amount' : 'secret'
  return words.some((word) => SECRET_WORDS.has(word)) || SECRET_WORDS.has(joined) ? 'secret' : 'plain'
}

/*
 * Every pattern is linear: once its beginning is found it either ends within a fixed number of characters or takes the whole run,
 * so that no text can be scanned again and again.
 */
const SUSPECT = /ig_|sk-|sk_|rk_|gh[opsur]_|github_pat_|glpat-|npm_|xox|AKIA|ASIA|AIza|eyJ|-----BEGIN|:\/\/|bearer|basic|pass|pwd|secret|token|api.?key|access.?key|private.?key|account.?key|authoriz|cookie|credential/i
const SHAPES = new RegExp(
  [
    'ig_[0-9A-Za-z]{32}',
    // Not within a word (`task-list…`), but after an escape in quoted JSON (`\\nsk-…`).
    '(?<!(?<!\\\\)[A-Za-z])(?:sk|rk)[-_][A-Za-z0-9_-]{16,}',
    'gh[opsur]_[A-Za-z0-9]{16,}',
    'github_pat_[A-Za-z0-9_]{16,}',
    'glpat-[A-Za-z0-9_-]{16,}',
    'npm_[A-Za-z0-9]{30,}',
    'xox[a-z]-[A-Za-z0-9-]{8,}',
    '(?:AKIA|ASIA)[0-9A-Z]{16}',
    'AIza[0-9A-Za-z_-]{35}',
    'eyJ[A-Za-z0-9_-]{14,}(?:\\.[A-Za-z0-9_-]*){0,2}',
    '-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY[\\s\\S]*?(?:-----END [A-Z0-9 ]{0,40}PRIVATE KEY[A-Z ]{0,20}-----|$)',
  ].join('|'),
  'g',
)
const SCHEMES = /\b(bearer|basic)(\s{1,4})([A-Za-z0-9._~+/=-]{8,})/gi
/** `scheme://user:password@host`, and a user alone, which is often a token. */
const USERINFO = /:\/\/[^\s/?#@"'<>]{1,1024}@/g
const LINES = /((?:set-)?cookie|(?:proxy-)?authorization)(["']?\s{0,4}[=:]\s{0,4}["']?)[^\r\n"']+/gi
const PAIRS = new RegExp(
  '(passw(?:or)?d|passphrase|passcode|pwd|secret|token|api[ _-]?key|access[ _-]?key|private[ _-]?key|account[ _-]?key|credentials?)'
  + '(\\\\?["\']?\\s{0,4}[=:]\\s{0,4})(?:\\[masked\\]|\\\\?"[^"\\\\]+|\\\\?\'[^\'\\\\]+|[^\\s"\'\\\\,;&})\\]]+)',
  'gi',
)

/**
 * The text with everything that looks like a secret replaced: keys and tokens of known shapes, private keys, user names in URLs, and
 * what follows `password=`, `Authorization:` and the like. Takes time in proportion to the text.
 */
export function maskSecrets(text: string): string {
  if (text.length < 6 || !SUSPECT.test(text)) return text
  return text
    .replace(SHAPES, MASK)
    .replace(USERINFO, `://${MASK}@`)
    .replace(LINES, `$1$2${MASK}`)
    .replace(SCHEMES, (whole, scheme: string, space: string, value: string) => (isProse(value) ? whole : `${scheme}${space}${MASK}`))
    .replace(PAIRS, `$1$2${MASK}`)
}

/** "Basic understanding", "bearer authentication": one lower-case word is no credential. */
function isProse(value: string): boolean {
  return value.length < 24 && /^[a-z]+[.]?$/.test(value)
}
