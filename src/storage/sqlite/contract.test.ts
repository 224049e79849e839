import { storageContract } from '../contract.ts'
import { temporaryStorage } from './temporary-storage.ts'

storageContract('SQLite', () => temporaryStorage())
storageContract('SQLite with auditSync full', () => temporaryStorage({ auditSync: 'full' }))
