import { expect, test } from 'bun:test'
import { readFileSync } from 'node:fs'
import { LICENCES } from '../views/licences.ts'
import { licencesOf, licenceSource, LIST, lockedLicences } from './licences.ts'

test('the list of licences is that of the lock file (else: bun scripts/licences.ts)', () => {
  expect(readFileSync(LIST, 'utf8')).toBe(licenceSource(lockedLicences()))
})

test('every package in the executable has terms that allow it', () => {
  const allowed = /^(MIT|ISC|0BSD|BSD-2-Clause|BSD-3-Clause|Apache-2\.0|\(Apache-2\.0 AND BSD-3-Clause\)|Python-2\.0|BlueOak-1\.0\.0)$/
  expect(LICENCES.filter(({ licence }) => !allowed.test(licence))).toEqual([])
})

test('what is for development alone is not on the list, what is in twice is there once for each version', () => {
  const lock = { packages: {
    '': {}, 'node_modules/a': { version: '1.0.0', license: 'MIT' }, 'node_modules/b/node_modules/a': { version: '2.0.0', license: 'MIT' },
    'node_modules/c/node_modules/a': { version: '2.0.0', license: 'MIT' }, 'node_modules/@x/dev': { version: '1.0.0', license: 'MIT', dev: true }, 'node_modules/d': { version: '1.0.0' },
  } }
  expect(licencesOf(lock).map(({ name, version, licence }) => `${name} ${version} ${licence}`)).toEqual(['a 1.0.0 MIT', 'a 2.0.0 MIT', 'd 1.0.0 see the package'])
})
