/** The small world behind the sample server: a shop's warehouse. Each server has its own, and it is gone when the server is. */

export const ORDER_STATUSES = ['open', 'packed', 'shipped', 'delivered', 'refunded'] as const
export type OrderStatus = (typeof ORDER_STATUSES)[number]

export interface Order {
  id: string
  customer: string
  items: { sku: string; quantity: number }[]
  totalEuro: number
  status: OrderStatus
}

export interface Warehouse {
  orders: Map<string, Order>
  customers: Map<string, { id: string; name: string; city: string }>
  stock: Map<string, { sku: string; title: string; pieces: number }>
}

export function stockedWarehouse(): Warehouse {
  const customers = [
    { id: 'C-7', name: 'Northwind Hostel', city: 'Tromsø' },
    { id: 'C-12', name: 'Ada Brandt', city: 'Leipzig' },
    { id: 'C-31', name: 'Ridge Rescue Team', city: 'Innsbruck' },
  ]
  const stock = [
    { sku: 'TENT-2', title: 'Two-person tent', pieces: 14 },
    { sku: 'LAMP-H', title: 'Head lamp', pieces: 230 },
    { sku: 'ROPE-60', title: 'Rope, 60 m', pieces: 3 },
  ]
  const orders: Order[] = [
    { id: 'A-1001', customer: 'C-7', items: [{ sku: 'LAMP-H', quantity: 40 }], totalEuro: 1160, status: 'open' },
    { id: 'A-1002', customer: 'C-12', items: [{ sku: 'TENT-2', quantity: 1 }], totalEuro: 329, status: 'shipped' },
    { id: 'A-1003', customer: 'C-31', items: [{ sku: 'ROPE-60', quantity: 2 }, { sku: 'LAMP-H', quantity: 6 }], totalEuro: 512, status: 'packed' },
    { id: 'A-1004', customer: 'C-12', items: [{ sku: 'ROPE-60', quantity: 1 }], totalEuro: 169, status: 'open' },
  ]
  return {
    customers: new Map(customers.map((customer) => [customer.id, customer])),
    stock: new Map(stock.map((item) => [item.sku, item])),
    orders: new Map(orders.map((order) => [order.id, order])),
  }
}
