"""What Spaces call their parameters, in the one vocabulary of options.

A name is looked up in lower case, without anything but letters and digits. It counts only where the
component can hold such a value: an `image` that is a text box is no picture.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from plugmux_hf_space._app import Slot

__all__ = ["FILE_KINDS", "OPTIONS", "TEXT_KINDS", "option_of"]

TEXT_KINDS = frozenset({"textbox", "multimodaltextbox", "code", "api"})
IMAGE_KINDS = frozenset({"image", "imageeditor", "gallery", "multimodaltextbox"})
FILE_KINDS = frozenset(
    {"image", "imageeditor", "imageslider", "gallery", "audio", "video", "file", "model3d"}
)
_NUMBERS = frozenset({"slider", "number", "textbox", "dropdown", "radio", "api"})
_CHOICES = frozenset({"dropdown", "radio", "textbox", "api"})

_OPTIONS: Mapping[str, tuple[frozenset[str], str]] = {
    "prompt": (
        TEXT_KINDS,
        "prompt text message query question instruction instructions input inputtext userinput userinputtext"
        " textprompt promptinput prompttext inputprompt editprompt editinstruction description caption"
        " positiveprompt userprompt usermessage msg texttosynthesize texttospeak speechtext gentext",
    ),
    "negative_prompt": (TEXT_KINDS, "negativeprompt negative negprompt nprompt promptnegative uncondprompt"),
    "seed": (_NUMBERS, "seed randomseed generatorseed seedvalue noiseseed"),
    "randomize_seed": (
        frozenset({"checkbox"}),
        "randomizeseed randomseed userandomseed randomize seedrandomize israndomseed",
    ),
    "width": (_NUMBERS, "width w imagewidth outputwidth targetwidth widthslider"),
    "height": (_NUMBERS, "height h imageheight outputheight targetheight heightslider"),
    "guidance_scale": (
        _NUMBERS,
        "guidancescale guidance cfg cfgscale scale guidancestrength textguidancescale classifierfreeguidance"
        " cfgstrength cfgguidance",
    ),
    "num_inference_steps": (
        _NUMBERS,
        "numinferencesteps steps numsteps inferencesteps numberofinferencesteps numberofsteps samplingsteps"
        " nsteps diffusionsteps stepcount",
    ),
    "n": (
        _NUMBERS,
        "n numimages numberofimages nimages numoutputs batchsize numsamples nsamples imagecount count"
        " numimagesperprompt samples",
    ),
    "image": (
        IMAGE_KINDS,
        "image inputimage initimage img sourceimage imageinput uploadimage uploadedimage inputimg"
        " conditioningimage startimage firstframe inputimages images referenceimage picture photo rawimage",
    ),
    "audio": (frozenset({"audio"}), "audio inputaudio audiofile audiopath speech audioinput inputs"),
    "voice": (_CHOICES, "voice speaker voicename speakername voiceid speakerid voicechoice"),
    "speed": (_NUMBERS, "speed rate speakingrate speechspeed speechrate speedfactor"),
    "language": (_CHOICES, "language lang languagecode targetlanguage spokenlanguage"),
    "duration": (
        _NUMBERS,
        "duration seconds videolength durationseconds videoduration lengthseconds durationui videoseconds",
    ),
    "fps": (_NUMBERS, "fps framespersecond framerate"),
    "resolution": (_CHOICES, "resolution videoresolution outputresolution"),
    "aspect_ratio": (_CHOICES, "aspectratio aspect ratio imageaspectratio"),
    "temperature": (_NUMBERS, "temperature temp samplingtemperature"),
    "top_p": (_NUMBERS, "topp toppnucleussampling nucleussampling"),
    "max_tokens": (
        _NUMBERS,
        "maxtokens maxnewtokens maxlength maxoutputtokens maxcompletiontokens newtokens numtokens",
    ),
    "system": (
        TEXT_KINDS,
        "system systemprompt systemmessage systeminstruction systeminstructions sysprompt",
    ),
    "web_search": (frozenset({"checkbox"}), "websearch searchweb enablewebsearch usewebsearch"),
}

OPTIONS = frozenset(_OPTIONS)
"""The options that a parameter may take."""

_BY_NAME: Mapping[str, tuple[str, ...]] = {
    word: tuple(option for option, (_, words) in _OPTIONS.items() if word in words.split())
    for _, words in _OPTIONS.values()
    for word in words.split()
}


def option_of(slot: Slot) -> str | None:
    """The option that a parameter takes, by its name, else by its label; None if neither says."""
    for name in (slot.name or "", slot.label):
        for option in _BY_NAME.get(re.sub(r"[^a-z0-9]", "", name.lower()), ()):
            if slot.kind in _OPTIONS[option][0]:
                return option
    return None
