"""Words for the items of the synthetic shop: tastes (general interests) and things (topics)."""

TASTES: dict[str, tuple[str, ...]] = {
    "walnut": ("walnut", "dark walnut", "turned walnut", "oiled walnut"),
    "rattan": ("rattan", "woven rattan", "cane", "bamboo"),
    "steel": ("steel", "black steel", "brushed steel", "wire"),
    "velvet": ("velvet", "emerald velvet", "plum velvet", "tufted velvet"),
    "birch": ("birch", "white birch", "pale birch", "bent birch"),
    "brass": ("brass", "antique brass", "polished brass", "hammered brass"),
    "concrete": ("concrete", "cast concrete", "terrazzo", "grey stone"),
    "floral": ("floral", "rose print", "wildflower", "chintz"),
    "neon": ("neon", "acid yellow", "hot pink", "electric blue"),
    "denim": ("denim", "patched denim", "indigo", "chambray"),
    "nautical": ("nautical", "striped navy", "rope", "driftwood"),
    "marble": ("marble", "white marble", "green marble", "veined marble"),
}
"""Adjectives of each taste; items that suit every taste take theirs from ``PLAIN``."""

PLAIN: tuple[str, ...] = ("plain", "simple", "everyday", "basic", "classic", "white", "grey")

THINGS: dict[str, tuple[str, ...]] = {
    "seating": ("armchair", "bar stool", "bench", "dining chair", "rocking chair", "sofa"),
    "tables": ("coffee table", "dining table", "nightstand", "side table", "writing desk"),
    "lighting": ("candle holder", "ceiling light", "desk lamp", "floor lamp", "lantern"),
    "storage": ("bookcase", "cabinet", "coat rack", "laundry basket", "shelf", "wardrobe"),
    "textiles": ("bedspread", "curtain", "cushion", "rug", "table runner", "throw"),
    "tableware": ("bowl", "jug", "mug", "plate", "serving tray", "teapot"),
    "decoration": ("clock", "mirror", "picture frame", "plant pot", "vase", "wall hook"),
    "garden": ("bird house", "deck chair", "hammock", "parasol", "planter", "watering can"),
}
"""Things of each topic, in the order in which sessions tend to drift from one to the next."""

ANY_TASTE = "any"
"""Name of the taste of items that suit everybody."""
