import pytest
from kafka_support import CLIENTS


@pytest.fixture(params=CLIENTS)
def client(request):
    """Each client of Kafka."""
    return request.param
