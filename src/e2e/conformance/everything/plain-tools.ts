import type { McpServer } from '@modelcontextprotocol/server'
import { PNG_BASE64, text, WAV_BASE64 } from './samples.ts'

/** Tools that answer at once: one for every kind of content, and one that fails. */
export function addPlainTools(server: McpServer): void {
  server.registerTool('test_simple_text', { description: 'Answers with a text.' }, () => text('This is a simple text response for testing.'))
  server.registerTool('test_image_content', { description: 'Answers with an image.' }, () => ({
    content: [{ type: 'image', data: PNG_BASE64, mimeType: 'image/png' }],
  }))
  server.registerTool('test_audio_content', { description: 'Answers with a sound.' }, () => ({
    content: [{ type: 'audio', data: WAV_BASE64, mimeType: 'audio/wav' }],
  }))
  server.registerTool('test_embedded_resource', { description: 'Answers with a resource.' }, () => ({
    content: [{ type: 'resource', resource: { uri: 'test://embedded-resource', mimeType: 'text/plain', text: 'This is an embedded resource content.' } }],
  }))
  server.registerTool('test_multiple_content_types', { description: 'Answers with a text, an image and a resource.' }, () => ({
    content: [
      { type: 'text', text: 'Multiple content types test:' },
      { type: 'image', data: PNG_BASE64, mimeType: 'image/png' },
      { type: 'resource', resource: { uri: 'test://mixed-content-resource', mimeType: 'application/json', text: '{"test":"data","value":123}' } },
    ],
  }))
  server.registerTool('test_error_handling', { description: 'Fails.' }, () => {
    throw new Error('This tool intentionally returns an error for testing')
  })
}
