import { acceptedContent, completable, inputRequired } from '@modelcontextprotocol/server'
import type { McpServer } from '@modelcontextprotocol/server'
import { z } from 'zod'
import { PNG_BASE64 } from './samples.ts'

const PLACES = ['paris', 'park', 'party', 'quay']
const completed = (description: string) => completable(z.string().describe(description), (begun) => PLACES.filter((place) => place.startsWith(begun)))
const said = (words: string) => ({ role: 'user' as const, content: { type: 'text' as const, text: words } })

export function addPrompts(server: McpServer): void {
  server.registerPrompt('test_simple_prompt', { description: 'A prompt without arguments.' }, () => ({ messages: [said('This is a simple prompt for testing.')] }))
  server.registerPrompt(
    'test_prompt_with_arguments',
    { description: 'A prompt with two arguments.', argsSchema: z.object({ arg1: completed('First argument'), arg2: completed('Second argument') }) },
    ({ arg1, arg2 }) => ({ messages: [said(`Prompt with arguments: arg1='${arg1}', arg2='${arg2}'`)] }),
  )
  server.registerPrompt(
    'test_prompt_with_embedded_resource',
    { description: 'A prompt that embeds a resource.', argsSchema: z.object({ resourceUri: z.string().describe('What to embed') }) },
    ({ resourceUri }) => ({
      messages: [
        { role: 'user', content: { type: 'resource', resource: { uri: resourceUri, mimeType: 'text/plain', text: 'Embedded resource content for testing.' } } },
        said('Please process the embedded resource above.'),
      ],
    }),
  )
  server.registerPrompt('test_prompt_with_image', { description: 'A prompt with an image.' }, () => ({
    messages: [{ role: 'user', content: { type: 'image', data: PNG_BASE64, mimeType: 'image/png' } }, said('Please analyze the image above.')],
  }))
  server.registerPrompt('test_input_required_result_prompt', { description: 'A prompt that asks for its context first.' }, (ctx) => {
    const context = acceptedContent(ctx.mcpReq.inputResponses, 'user_context')?.context
    if (typeof context === 'string') return { messages: [said(`Consider ${context}.`)] }
    const requestedSchema = { type: 'object' as const, properties: { context: { type: 'string' as const } }, required: ['context'] }
    return inputRequired({ inputRequests: { user_context: inputRequired.elicit({ message: 'What context should the prompt use?', requestedSchema }) } })
  })
}
