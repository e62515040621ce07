"""A query of Spark's over a folder of Parquet files, one a micro-batch, until it has read them all.

python spark_query.py FILES SCORED CHECKPOINT BUCKETS
"""

import sys

from pyspark.sql import SparkSession

from streamrnn import Settings
from streamrnn.connectors.spark import score_stream


def main(files, scored, checkpoint, buckets):
    spark = (
        SparkSession.builder.master("local[2]")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.ui.enabled", "false")
        .config("spark.sql.shuffle.partitions", "2")
        .config("spark.sql.session.timeZone", "Europe/Berlin")  # where an hour a year is there twice
        .getOrCreate()
    )
    schema = "key string, time timestamp, partition int, offset bigint, value double"
    stream = spark.readStream.schema(schema).option("maxFilesPerTrigger", 1).parquet(files)
    query = (
        score_stream(stream, Settings(hidden=0, season="off"), buckets=int(buckets), source="readings")
        .writeStream.format("parquet")
        .option("path", scored)
        .option("checkpointLocation", checkpoint)
        .trigger(availableNow=True)
        .start()
    )
    query.awaitTermination()


if __name__ == "__main__":
    main(*sys.argv[1:])
