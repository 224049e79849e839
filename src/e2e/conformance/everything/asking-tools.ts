import { fromJsonSchema, inputRequired, inputResponse } from '@modelcontextprotocol/server'
import type { ElicitRequestFormParams, McpServer, ServerContext } from '@modelcontextprotocol/server'
import { text } from './samples.ts'

type FormSchema = ElicitRequestFormParams['requestedSchema']

const oneText = (name: string) => fromJsonSchema<Record<string, string>>({ type: 'object', properties: { [name]: { type: 'string' } }, required: [name] })

/** Tools that ask their caller something: by requests of their own while the call is open, or in 2026-07-28 by their result. */
export function addAskingTools(server: McpServer, era: 'modern' | 'legacy'): void {
  const ask = era === 'modern' ? askByResult : askInBetween
  server.registerTool('test_sampling', { description: 'Has the caller’s model answer a prompt.', inputSchema: oneText('prompt') }, async ({ prompt }, ctx) => {
    const params = { messages: [{ role: 'user' as const, content: { type: 'text' as const, text: prompt ?? '' } }], maxTokens: 100 }
    if (era === 'legacy') return sampled((await ctx.mcpReq.requestSampling(params)).content)
    const answer = inputResponse(ctx.mcpReq.inputResponses, 'sample')
    return answer.kind === 'sampling' ? sampled(answer.result.content) : inputRequired({ inputRequests: { sample: inputRequired.createMessage(params) } })
  })
  server.registerTool('test_elicitation', { description: 'Asks the caller’s user.', inputSchema: oneText('message') }, ({ message }, ctx) => ask(ctx, message ?? '', USER_FORM, 'User response'))
  server.registerTool('test_elicitation_sep1034_defaults', { description: 'Asks with a default for every primitive type.' }, (ctx) => ask(ctx, 'Please review the defaults', DEFAULTS_FORM))
  server.registerTool('test_elicitation_sep1330_enums', { description: 'Asks with every kind of choice.' }, (ctx) => ask(ctx, 'Please choose', CHOICES_FORM))
  server.registerTool('test_streaming_elicitation', { description: 'Asks the caller’s user by its result.' }, () =>
    inputRequired({ inputRequests: { confirmation: inputRequired.elicit({ message: 'Go on?', requestedSchema: USER_FORM }) } }))
  // The SDK refuses on its own what asks for more than the caller offers.
  server.registerTool('test_missing_capability', { description: 'Needs a caller that offers sampling.' }, () => {
    const params = { messages: [{ role: 'user' as const, content: { type: 'text' as const, text: 'Say something' } }], maxTokens: 20 }
    return inputRequired({ inputRequests: { sample: inputRequired.createMessage(params) } })
  })
}

async function askInBetween(ctx: ServerContext, message: string, requestedSchema: FormSchema, said = 'Elicitation completed') {
  const { action, content } = await ctx.mcpReq.elicitInput({ mode: 'form', message, requestedSchema })
  return text(`${said}: action=${action}, content=${JSON.stringify(content ?? {})}`)
}

async function askByResult(ctx: ServerContext, message: string, requestedSchema: FormSchema, said = 'Elicitation completed') {
  const answer = inputResponse(ctx.mcpReq.inputResponses, 'question')
  if (answer.kind !== 'elicit') return inputRequired({ inputRequests: { question: inputRequired.elicit({ message, requestedSchema }) } })
  return text(`${said}: action=${answer.action}, content=${JSON.stringify(answer.content ?? {})}`)
}

function sampled(content: unknown) {
  const said = (Array.isArray(content) ? content[0] : content) as { type?: unknown; text?: unknown } | undefined
  return text(`LLM response: ${said?.type === 'text' ? String(said.text) : JSON.stringify(content)}`)
}

const USER_FORM: FormSchema = {
  type: 'object',
  properties: { username: { type: 'string', description: 'User name' }, email: { type: 'string', description: 'Mail address' } },
  required: ['username', 'email'],
}

const DEFAULTS_FORM: FormSchema = {
  type: 'object',
  properties: {
    name: { type: 'string', default: 'John Doe' },
    age: { type: 'integer', default: 30 },
    score: { type: 'number', default: 95.5 },
    status: { type: 'string', enum: ['active', 'inactive', 'pending'], default: 'active' },
    verified: { type: 'boolean', default: true },
  },
}

const CHOICES_FORM: FormSchema = {
  type: 'object',
  properties: {
    untitledSingle: { type: 'string', enum: ['option1', 'option2', 'option3'] },
    titledSingle: { type: 'string', oneOf: [{ const: 'value1', title: 'First Option' }, { const: 'value2', title: 'Second Option' }, { const: 'value3', title: 'Third Option' }] },
    legacyEnum: { type: 'string', enum: ['opt1', 'opt2', 'opt3'], enumNames: ['Option One', 'Option Two', 'Option Three'] },
    untitledMulti: { type: 'array', items: { type: 'string', enum: ['option1', 'option2', 'option3'] } },
    titledMulti: { type: 'array', items: { anyOf: [{ const: 'value1', title: 'First Choice' }, { const: 'value2', title: 'Second Choice' }, { const: 'value3', title: 'Third Choice' }] } },
  },
}
