import { fromJsonSchema, inputRequired } from '@modelcontextprotocol/server'
import type { ElicitRequestFormParams, McpServer, ServerContext } from '@modelcontextprotocol/server'
import { text } from './samples.ts'

type FormSchema = ElicitRequestFormParams['requestedSchema']

const oneText = (name: string) => fromJsonSchema<Record<string, string>>({ type: 'object', properties: { [name]: { type: 'string' } }, required: [name] })

/** Tools that ask their caller something by requests of their own while the call is open (revisions before 2026-07-28). */
export function addAskingTools(server: McpServer): void {
  server.registerTool('test_sampling', { description: 'Has the caller’s model answer a prompt.', inputSchema: oneText('prompt') }, async ({ prompt }, ctx) => {
    const { content } = await ctx.mcpReq.requestSampling({ messages: [{ role: 'user', content: { type: 'text', text: prompt ?? '' } }], maxTokens: 100 })
    const said = Array.isArray(content) ? content[0] : content
    return text(`LLM response: ${said?.type === 'text' ? said.text : JSON.stringify(content)}`)
  })
  server.registerTool('test_elicitation', { description: 'Asks the caller’s user.', inputSchema: oneText('message') }, async ({ message }, ctx) => {
    const said = await ctx.mcpReq.elicitInput({ mode: 'form', message: message ?? '', requestedSchema: USER_FORM })
    return text(`User response: action=${said.action}, content=${JSON.stringify(said.content ?? {})}`)
  })
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

async function ask(ctx: ServerContext, message: string, requestedSchema: FormSchema) {
  const said = await ctx.mcpReq.elicitInput({ mode: 'form', message, requestedSchema })
  return text(`Elicitation completed: action=${said.action}, content=${JSON.stringify(said.content ?? {})}`)
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
