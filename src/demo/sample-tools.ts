import type { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js'
import type { CallToolResult } from '@modelcontextprotocol/sdk/types.js'
import { z } from 'zod'
import type { Warehouse } from './warehouse.ts'
import { ORDER_STATUSES } from './warehouse.ts'

const STOPS = ['picked up', 'sorted in Hamburg', 'on the road', 'with the courier', 'at the door']
const STOP_PAUSE_MS = 200

function answer(value: unknown): CallToolResult {
  return { content: [{ type: 'text', text: JSON.stringify(value, null, 2) }] }
}

function failure(text: string): CallToolResult {
  return { content: [{ type: 'text', text }], isError: true }
}

export function addTools(server: McpServer, warehouse: Warehouse): void {
  addReadingTools(server, warehouse)
  addChangingTools(server, warehouse)
}

function addReadingTools(server: McpServer, { orders, stock }: Warehouse): void {
  server.registerTool('search_orders', {
    title: 'Search orders',
    description: 'Finds orders by status and by a text in their id, customer or items.',
    inputSchema: { query: z.string().optional(), status: z.enum(ORDER_STATUSES).optional() },
    annotations: { readOnlyHint: true },
  }, ({ query = '', status }) => {
    const wanted = query.toLowerCase()
    return answer([...orders.values()].filter((order) => (status === undefined || order.status === status) && JSON.stringify(order).toLowerCase().includes(wanted)))
  })

  server.registerTool('get_order', {
    title: 'Get an order',
    description: 'Shows one order.',
    inputSchema: { id: z.string() },
    annotations: { readOnlyHint: true },
  }, ({ id }) => {
    const order = orders.get(id)
    return order === undefined ? failure(`There is no order ${id}.`) : answer(order)
  })

  server.registerTool('check_stock', {
    title: 'Check stock',
    description: 'Says how many pieces of an article are left.',
    inputSchema: { sku: z.string() },
    annotations: { readOnlyHint: true },
  }, ({ sku }) => {
    const item = stock.get(sku)
    return item === undefined ? failure(`There is no article ${sku}.`) : answer(item)
  })

  server.registerTool('track_shipment', {
    title: 'Track a shipment',
    description: 'Follows a parcel stop by stop. Takes a second, and reports progress on the way.',
    inputSchema: { id: z.string() },
    annotations: { readOnlyHint: true },
  }, async ({ id }, { _meta, sendNotification, signal }) => {
    const token = _meta?.progressToken
    for (const [index, stop] of STOPS.entries()) {
      if (signal.aborted) return failure('Cancelled.')
      await Bun.sleep(STOP_PAUSE_MS)
      if (token !== undefined) {
        await sendNotification({ method: 'notifications/progress', params: { progressToken: token, progress: index + 1, total: STOPS.length, message: stop } })
      }
    }
    return answer({ id, stops: STOPS })
  })
}

function addChangingTools(server: McpServer, { orders, customers }: Warehouse): void {
  server.registerTool('update_order_status', {
    title: 'Update an order',
    description: 'Moves an order to another status.',
    inputSchema: { id: z.string(), status: z.enum(ORDER_STATUSES) },
  }, ({ id, status }) => {
    const order = orders.get(id)
    if (order === undefined) return failure(`There is no order ${id}.`)
    order.status = status
    return answer(order)
  })

  server.registerTool('refund_order', {
    title: 'Refund an order',
    description: 'Pays an order back.',
    inputSchema: { id: z.string(), reason: z.string() },
    annotations: { destructiveHint: true },
  }, ({ id, reason }) => {
    const order = orders.get(id)
    if (order === undefined) return failure(`There is no order ${id}.`)
    order.status = 'refunded'
    return answer({ refunded: id, euro: order.totalEuro, reason })
  })

  server.registerTool('delete_customer', {
    title: 'Delete a customer',
    description: 'Deletes a customer for good.',
    inputSchema: { id: z.string() },
    annotations: { destructiveHint: true },
  }, ({ id }) => (customers.delete(id) ? answer({ deleted: id }) : failure(`There is no customer ${id}.`)))
}
