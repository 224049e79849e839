import type { McpServer, ServerContext } from '@modelcontextprotocol/server'
import { text } from './samples.ts'

const PAUSE_MS = 20

/** Tools that say something before they answer, or leave the stream in between. */
export function addStreamingTools(server: McpServer): void {
  server.registerTool('test_tool_with_logging', { description: 'Logs three lines while it works.' }, async (ctx) => {
    await ctx.mcpReq.log('info', 'Tool execution started')
    await Bun.sleep(PAUSE_MS)
    await ctx.mcpReq.log('info', 'Tool processing data')
    await Bun.sleep(PAUSE_MS)
    await ctx.mcpReq.log('info', 'Tool execution completed')
    return text('Logged three lines.')
  })
  server.registerTool('test_logging_tool', { description: 'Logs one line, to callers that asked for logs.' }, async (ctx) => {
    await ctx.mcpReq.log('info', 'One line')
    return text('Logged a line, if that was asked for.')
  })
  server.registerTool('test_tool_with_progress', { description: 'Reports progress while it works.' }, async (ctx) => {
    for (const progress of [0, 50, 100]) {
      await reportProgress(ctx, progress)
      await Bun.sleep(PAUSE_MS)
    }
    return text('Done in three steps.')
  })
  server.registerTool('test_reconnection', { description: 'Closes its stream before it answers, so that the caller comes back for the answer.' }, async (ctx) => {
    ctx.http?.closeSSE?.()
    await Bun.sleep(PAUSE_MS * 5)
    return text('Answered after the stream was closed.')
  })
}

async function reportProgress(ctx: ServerContext, progress: number): Promise<void> {
  const progressToken = ctx.mcpReq._meta?.progressToken
  if (progressToken === undefined) return
  await ctx.mcpReq.notify({ method: 'notifications/progress', params: { progressToken, progress, total: 100 } })
}
