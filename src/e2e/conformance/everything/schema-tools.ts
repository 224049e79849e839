import { fromJsonSchema } from '@modelcontextprotocol/server'
import type { McpServer } from '@modelcontextprotocol/server'
import { text } from './samples.ts'

/** Tools whose schema must arrive at the caller as it is written here. */
export function addSchemaTools(server: McpServer): void {
  server.registerTool('json_schema_2020_12_tool', { description: 'Uses the vocabulary of JSON Schema 2020-12.', inputSchema: fromJsonSchema<Record<string, unknown>>(RICH_SCHEMA) }, (args) => text(JSON.stringify(args)))
  server.registerTool('test_x_mcp_header', { description: 'Has arguments that are mirrored in headers.', inputSchema: fromJsonSchema<Record<string, unknown>>(MIRRORED_SCHEMA) }, (args) => text(JSON.stringify(args)))
}

const RICH_SCHEMA = {
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  type: 'object',
  $defs: { address: { $anchor: 'addressDef', type: 'object', properties: { street: { type: 'string' }, city: { type: 'string' } } } },
  properties: {
    name: { type: 'string' },
    address: { $ref: '#/$defs/address' },
    contactMethod: { type: 'string', enum: ['phone', 'email'] },
    phone: { type: 'string' },
    email: { type: 'string' },
  },
  allOf: [{ anyOf: [{ required: ['phone'] }, { required: ['email'] }] }],
  if: { properties: { contactMethod: { const: 'phone' } }, required: ['contactMethod'] },
  then: { required: ['phone'] },
  else: { required: ['email'] },
  additionalProperties: false,
}

const MIRRORED_SCHEMA = {
  type: 'object',
  properties: {
    region: { type: 'string', 'x-mcp-header': 'Region' },
    priority: { type: 'integer', 'x-mcp-header': 'Priority' },
    verbose: { type: 'boolean', 'x-mcp-header': 'Verbose' },
    note: { type: 'string' },
  },
}
