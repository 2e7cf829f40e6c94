"""docs/settings.md is what the configuration model says."""

from edge.config import declared
from tests.docs.settings_page import PAGE, page
from tests.nonempty import some


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text("utf-8") == page(), "run: python -m tests.docs.settings_page"


def test_every_setting_is_explained() -> None:
    text = page()
    for one in some(declared()):
        assert f"| `{one.section}.{one.name}`" in text
        assert one.description.replace("|", "\\|") in text


def test_ranges_and_choices_are_shown() -> None:
    text = page()
    assert "| `face.threshold` | `0.5` | above 0 to below 1 |" in text
    assert "| `camera.rotate` | `0` | `0`, `90`, `180`, `270` |" in text
    assert "| `mqtt.port` | unset | 1 to 65535 |" in text


def test_page_settings_are_marked() -> None:
    assert "| `alerts.quiet_hours` *page* |" in page()
    assert "| `alerts.led_pin` |" in page()
