import { acceptedContent, createRequestStateCodec, inputRequired, inputResponse } from '@modelcontextprotocol/server'
import type { InputRequest, McpServer, ServerContext } from '@modelcontextprotocol/server'
import { z } from 'zod'
import { text } from './samples.ts'

/** Where a dialogue of several rounds stands. It travels through the caller, so it is signed. */
export const stateCodec = createRequestStateCodec<{ round: number }>({ key: 'a key of 32 bytes for tests only!' })

/** The SDK's own type of the envelope names no key. */
const Envelope = z.object({ 'io.modelcontextprotocol/clientCapabilities': z.record(z.string(), z.unknown()) })

const askFor = (field: string, message: string) =>
  inputRequired.elicit({ message, requestedSchema: { type: 'object', properties: { [field]: { type: 'string' } }, required: [field] } })
const askToConfirm = () =>
  inputRequired.elicit({ message: 'Please confirm', requestedSchema: { type: 'object', properties: { ok: { type: 'boolean' } }, required: ['ok'] } })
const askModel = (prompt: string, maxTokens: number) => inputRequired.createMessage({ messages: [{ role: 'user', content: { type: 'text', text: prompt } }], maxTokens })

const accepted = (ctx: ServerContext, key: string) => acceptedContent(ctx.mcpReq.inputResponses, key)
const isAnswered = (ctx: ServerContext, key: string) => inputResponse(ctx.mcpReq.inputResponses, key).kind !== 'missing'
const state = (round: number, ctx: ServerContext) => stateCodec.mint({ round }, ctx)

/** Tools that ask by their result and are called again with the answers (2026-07-28). */
export function addInputRequiredTools(server: McpServer): void {
  addOneQuestion(server)
  addRequestState(server)
  server.registerTool('test_input_required_result_multiple_inputs', { description: 'Asks three things at once.' }, async (ctx) => {
    const keys = ['user_name', 'greeting', 'client_roots']
    if (keys.every((key) => isAnswered(ctx, key)) && ctx.mcpReq.requestState<{ round: number }>() !== undefined) return text('All three answers arrived.')
    const inputRequests = { user_name: askFor('name', 'What is your name?'), greeting: askModel('Generate a greeting', 50), client_roots: inputRequired.listRoots() }
    return inputRequired({ inputRequests, requestState: await state(1, ctx) })
  })
  server.registerTool('test_input_required_result_capabilities', { description: 'Asks only what the caller says it can answer.' }, (ctx) => {
    const { 'io.modelcontextprotocol/clientCapabilities': offered } = Envelope.parse(ctx.mcpReq.envelope)
    const inputRequests: Record<string, InputRequest> = {}
    if (offered.sampling !== undefined) inputRequests.sample = askModel('Say something', 20)
    if (offered.elicitation !== undefined) inputRequests.question = askFor('answer', 'Say something')
    return Object.keys(inputRequests).length === 0 ? text('There is nobody to ask.') : inputRequired({ inputRequests })
  })
}

function addOneQuestion(server: McpServer): void {
  server.registerTool('test_input_required_result_elicitation', { description: 'Asks for a name.' }, (ctx) => {
    const name = accepted(ctx, 'user_name')?.name
    return typeof name === 'string' ? text(`Hello, ${name}!`) : inputRequired({ inputRequests: { user_name: askFor('name', 'What is your name?') } })
  })
  server.registerTool('test_input_required_result_sampling', { description: 'Asks the caller’s model.' }, (ctx) => {
    const answer = inputResponse(ctx.mcpReq.inputResponses, 'capital_question')
    if (answer.kind === 'sampling') return text(`The model says: ${JSON.stringify(answer.result.content)}`)
    return inputRequired({ inputRequests: { capital_question: askModel('What is the capital of France?', 100) } })
  })
  server.registerTool('test_input_required_result_list_roots', { description: 'Asks for the caller’s roots.' }, (ctx) => {
    const answer = inputResponse(ctx.mcpReq.inputResponses, 'client_roots')
    if (answer.kind === 'roots') return text(`Roots: ${answer.roots.map(({ uri }) => uri).join(', ')}`)
    return inputRequired({ inputRequests: { client_roots: inputRequired.listRoots() } })
  })
}

function addRequestState(server: McpServer): void {
  for (const name of ['test_input_required_result_request_state', 'test_input_required_result_tampered_state']) {
    server.registerTool(name, { description: 'Asks for a confirmation, and wants its state back untouched.' }, async (ctx) => {
      const kept = ctx.mcpReq.requestState<{ round: number }>()
      if (kept?.round === 1 && accepted(ctx, 'confirm') !== undefined) return text('state-ok')
      return inputRequired({ inputRequests: { confirm: askToConfirm() }, requestState: await state(1, ctx) })
    })
  }
  server.registerTool('test_input_required_result_multi_round', { description: 'Asks twice, one after the other.' }, async (ctx) => {
    const round = ctx.mcpReq.requestState<{ round: number }>()?.round ?? 0
    if (round === 2 && accepted(ctx, 'step2') !== undefined) return text(`Your color is ${String(accepted(ctx, 'step2')?.color)}.`)
    if (round === 1 && accepted(ctx, 'step1') !== undefined) {
      return inputRequired({ inputRequests: { step2: askFor('color', 'Step 2: What is your favorite color?') }, requestState: await state(2, ctx) })
    }
    return inputRequired({ inputRequests: { step1: askFor('name', 'Step 1: What is your name?') }, requestState: await state(1, ctx) })
  })
}
