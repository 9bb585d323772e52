// What the pinned packages of libp2p get wrong, mended before they are used.

import { YamuxStream } from './node_modules/@chainsafe/libp2p-yamux/dist/src/stream.js'

// They take for granted what Node 20 lacks.
Promise.withResolvers ??= () => {
  let resolve
  let reject
  const promise = new Promise((yes, no) => {
    resolve = yes
    reject = no
  })
  return { promise, resolve, reject }
}

// They lose the data of a frame that also ends the stream, as smoldot's requests come: it is read first here.
const handleData = YamuxStream.prototype.handleData
YamuxStream.prototype.handleData = async function (header, readData) {
  const flags = header.flag
  await handleData.call(this, { ...header, flag: 0 }, readData)
  this.processFlags(flags)
}
