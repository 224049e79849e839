import { describe, expect, test } from 'bun:test'
import { checkUpstreamUrl, judgeAddress, judgeUrl } from './address.ts'

const strict = { allowLinkLocal: false }
const open = { allowLinkLocal: true }

describe('an upstream URL', () => {
  test.each([
    'http://127.0.0.1:8080/mcp', 'http://localhost/mcp', 'https://mcp.example.com/mcp?x=1', 'http://10.0.0.5/', 'http://192.168.1.1:3000', 'http://172.16.0.1', 'http://[::1]:9/mcp', 'http://[fd12::1]/',
    'http://2130706433/', 'http://0x7f.1/', 'http://169.253.254.254/', 'http://169.255.0.1/', 'http://100.100.100.201/', 'http://168.63.129.15/', 'http://metadata.example.com/', 'HTTPS://EXAMPLE.com/',
  ])('%s is accepted', (url) => {
    expect(checkUpstreamUrl(url, strict)).toMatchObject({ ok: true })
  })

  test.each([
    '', 'x', '/mcp', '//host/mcp', 'ftp://host/', 'file:///etc/hostname', 'data:text/plain,x', 's3://bucket/key', 'unix:///run/x.sock', 'javascript:alert(1)', 'ws://host/', 'http:host/', 'http:/host/', 'http:///host/x#',
    'http://user@host/', 'http://user:pass@host/', 'http://@host/', 'http://:@host/', 'http://host/#frag', 'http://host/#', 'http://ho st/', ' http://host/', 'http://host/\n', 'http://ho\tst/', 'http://host\\@evil/', 'http:\\\\host\\',
    'http://host:0/', 'http://host:65536/', 'http://', 'http://?x', 'http://[::1', 'http://256.256.256.256/', 'http://1.2.3.4.5/', `http://host/${'a'.repeat(5000)}`, 'http://[fe80::1%25eth0]/',
  ])('%p is not a valid upstream URL', (url) => {
    expect(judgeUrl(url, open)).toMatchObject({ ok: false })
    expect(checkUpstreamUrl(url, open)).toMatchObject({ ok: false, code: 'invalid_request' })
  })

  test.each([
    'http://169.254.169.254/latest/meta-data', 'http://169.254.1.1', 'http://169.254.169.254./', 'http://2852039166/', 'http://0xa9fea9fe/', 'http://0xA9.0xFE.0xA9.0xFE/', 'http://0251.0376.0251.0376/', 'http://169.254.43518/',
    'http://169.16689662/', 'http://%31%36%39.254.169.254/', 'http://169%2E254%2E169%2E254/', 'http://１６９.254.169.254/', 'http://169。254。169。254/', 'http://[::ffff:169.254.169.254]/', 'http://[::ffff:a9fe:a9fe]/', 'http://[::169.254.169.254]/',
    'http://[64:ff9b::169.254.169.254]/', 'http://[64:ff9b:1::a9fe:a9fe]/', 'http://[2002:a9fe:a9fe::]/', 'http://[2001:0:1:2:3:4:5601:5601]/', 'http://[::ffff:0:169.254.169.254]/', 'http://[fe80::1]/', 'http://[febf::1]/', 'http://[fd00:ec2::254]/',
    'http://[fd20:ce::254]/', 'http://100.100.100.200/', 'http://168.63.129.16/', 'http://192.0.0.192/', 'http://metadata.google.internal/', 'http://METADATA.google.internal./', 'http://metadata.goog/', 'http://metadata/',
  ])('%s is refused as link-local or metadata, unless the operator allows it', (url) => {
    expect(judgeUrl(url, strict)).toMatchObject({ ok: false, kind: 'forbidden_address' })
    expect(judgeUrl(url, open)).toMatchObject({ ok: true })
  })

  test.each(['http://0/', 'http://0.0.0.0/', 'http://0.1.2.3/', 'http://[::]/', 'http://[::ffff:0.0.0.0]/', 'http://224.0.0.1/', 'http://239.255.255.255/', 'http://[ff02::1]/', 'http://255.255.255.255/', 'http://[::ffff:255.255.255.255]/', 'http://240.0.0.1/'])(
    '%s is refused always',
    (url) => {
      expect(judgeUrl(url, strict)).toMatchObject({ ok: false, kind: 'forbidden_address' })
      expect(judgeUrl(url, open)).toMatchObject({ ok: false, kind: 'forbidden_address' })
    },
  )
})

test.each(['fe80::1%eth0', '169.254.0.1', '::FFFF:169.254.169.254', '0:0:0:0:0:ffff:a9fe:a9fe', 'nonsense', '', '1.2.3', '1.2.3.256', '1::2::3', ':::', '12345::'])('resolved address %p is refused', (address) => {
  expect(judgeAddress(address, strict)).toBeString()
})

test.each(['127.0.0.1', '::1', '::ffff:10.0.0.1', '64:ff9b::1.2.3.4', '2606:4700::1111', 'fec0::1', '8.8.8.8'])('resolved address %p is allowed', (address) => {
  expect(judgeAddress(address, strict)).toBeNull()
})
