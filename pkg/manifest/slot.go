package manifest

import "strings"

// slots is the number of hash slots of a Redis Cluster.
const slots = 16384

// slot is the hash slot of a key: CRC16 of its hash tag, or of the whole key.
func slot(key string) uint16 {
	if tag, ok := hashTag(key); ok {
		key = tag
	}
	var crc uint16
	for i := range len(key) {
		crc ^= uint16(key[i]) << 8
		for range 8 {
			if crc&0x8000 != 0 {
				crc = crc<<1 ^ 0x1021
			} else {
				crc <<= 1
			}
		}
	}
	return crc % slots
}

// hashTag is what stands between the first { and the first } after it, unless
// that is nothing.
func hashTag(key string) (string, bool) {
	_, rest, ok := strings.Cut(key, "{")
	if !ok {
		return "", false
	}
	tag, _, ok := strings.Cut(rest, "}")
	return tag, ok && tag != ""
}

// DeadLetterStream is the name of a group's dead-letter stream: the one that
// the manifest gives, else {<stream>}:dead:<Redis group>. It is in the hash slot
// of the stream; if the stream's name has a hash tag already, that one is used.
func DeadLetterStream(g Group) string {
	if g.DeadLetter.Stream != "" {
		return g.DeadLetter.Stream
	}
	name := g.Stream
	if _, tagged := hashTag(name); !tagged {
		name = "{" + name + "}"
	}
	return name + ":dead:" + g.Group
}
