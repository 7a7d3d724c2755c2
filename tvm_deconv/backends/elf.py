"""A section of an ELF file, whatever the processor, that gets its content when all is linked.

    headers, section, ... => headers, ..., section

Assembler and linker copy what a section holds, each to a file and to memory, both fresh from the
system: 256 MB of weights take them 2 seconds. So they are given a section that is as good as empty,
and the content is written once, at the end of the file. In a library the section has to be the last
that is loaded, in a segment of its own: there it may be of any size.
"""

from __future__ import annotations

import os
import struct
from typing import IO, Any

from .serialized import Parts, length

# Fields of headers: their names and widths, A for that of an address.
_FILE = (
    "identity:16s type:H machine:H version:I entry:A segments_at:A sections_at:A flags:I own:H "
    "segment:H segments:H section:H sections:H names:H"
)
_SECTION = "name:I kind:I flags:A address:A offset:A size:A link:I info:I alignment:A entry:A"
_SEGMENT = {
    4: "kind:I offset:A address:A physical:A size:A memory:A flags:I alignment:A",
    8: "kind:I flags:I offset:A address:A physical:A size:A memory:A alignment:A",
}
_LOADED = 1


def fill(path: str | os.PathLike, section: str, parts: Parts) -> None:
    """Give the section of that name in an object file or a library other content."""
    with open(path, "r+b") as file:
        _Elf(file).fill(section.encode(), parts)


class _Elf:
    def __init__(self, file: IO[bytes]) -> None:
        self.file = file
        identity = file.read(6)
        self.width = {1: 4, 2: 8}[identity[4]]
        self.order = {1: "<", 2: ">"}[identity[5]]
        self.header = self.read(_FILE, 0)

    def _format(self, fields: str) -> tuple[list[str], struct.Struct]:
        names, widths = zip(*(field.split(":") for field in fields.split()), strict=True)
        address = {4: "I", 8: "Q"}[self.width]
        return list(names), struct.Struct(self.order + "".join(widths).replace("A", address))

    def read(self, fields: str, at: int) -> dict[str, Any]:
        """A header at a position of the file."""
        names, form = self._format(fields)
        self.file.seek(at)
        return dict(zip(names, form.unpack(self.file.read(form.size)), strict=True))

    def write(self, fields: str, at: int, header: dict[str, Any]) -> None:
        names, form = self._format(fields)
        self.file.seek(at)
        self.file.write(form.pack(*(header[name] for name in names)))

    def fill(self, name: bytes, parts: Parts) -> None:
        at, section = self._section(name)
        end, size = self.file.seek(0, os.SEEK_END), length(parts)
        segments = self._segments(section)
        # As far from the border of a page as in memory.
        step = max([section["alignment"], *(segment["alignment"] for _, segment in segments)])
        offset = end + (section["address"] - end) % step
        self.file.seek(offset)
        for part in parts:
            self.file.write(part)
        self.write(_SECTION, at, {**section, "offset": offset, "size": size})
        for place, segment in segments:
            changed = {**segment, "offset": offset, "size": size, "memory": size}
            self.write(_SEGMENT[self.width], place, changed)

    def _section(self, name: bytes) -> tuple[int, dict[str, Any]]:
        """Where its header is, and this."""
        first, size = self.header["sections_at"], self.header["section"]
        places = [first + size * number for number in range(self.header["sections"])]
        names = self.read(_SECTION, places[self.header["names"]])
        self.file.seek(names["offset"])
        text = self.file.read(names["size"])
        (found,) = (
            (place, section)
            for place in places
            for section in [self.read(_SECTION, place)]
            if text[section["name"] :].startswith(name + b"\0")
        )
        return found

    def _segments(self, section: dict[str, Any]) -> list[tuple[int, dict[str, Any]]]:
        """Where the header of its segment is, and this; none in an object file."""
        first, size = self.header["segments_at"], self.header["segment"]
        places = [first + size * number for number in range(self.header["segments"])]
        loaded = [
            (place, segment)
            for place in places
            for segment in [self.read(_SEGMENT[self.width], place)]
            if segment["kind"] == _LOADED
        ]
        if not loaded:
            return []
        last = max(loaded, key=lambda one: one[1]["address"])
        assert last[1]["address"] == section["address"] and last[1]["size"] == section["size"]
        return [last]
