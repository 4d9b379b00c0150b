// CRC-32 (IEEE 802.3, as zlib's crc32()) of an ASCII text, unsigned.

const table = new Uint32Array(256);
for (let i = 0; i < 256; i++) {
  let crc = i;
  for (let bit = 0; bit < 8; bit++)
    crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  table[i] = crc;
}

export function crc32(text) {
  let crc = 0xffffffff;
  for (let i = 0; i < text.length; i++)
    crc = table[(crc ^ text.charCodeAt(i)) & 0xff] ^ (crc >>> 8);
  return ~crc >>> 0;
}
